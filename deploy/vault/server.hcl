# A Vault of the deployment's own, on a volume. It is sealed whenever it starts (docs/deploy.md says how it is opened).
storage "raft" {
  path    = "/var/lib/vault"
  node_id = "vault"
}

# In a network of its own, with Airflow; anywhere else it wants TLS.
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}

api_addr      = "http://vault:8200"
cluster_addr  = "https://vault:8201"
disable_mlock = true # its container has no capability to lock memory; keep swap off or encrypted
