# What Airflow may do in Vault: read its connections, and nothing else.
path "airflow/data/connections/*" {
  capabilities = ["read"]
}
