"""What the compose smoke test reads in logs."""

from __future__ import annotations

from tools.trial.main_job import on_the_cluster, taken_by_celery
from tools.trial.vault import connections_read

MASTER = """
26/11/21 21:04:26 INFO Master: Registered app sluice with ID app-1-0000
26/11/21 21:04:26 INFO Master: Launching executor app-1-0000/0 on worker worker-1-old
26/11/21 21:09:44 INFO Master: Registered app sluice transactions batch 5 with ID app-2-0001
26/11/21 21:09:44 INFO Master: Launching executor app-2-0001/0 on worker worker-1
26/11/21 21:09:44 INFO Master: Launching executor app-2-0001/1 on worker worker-2
"""


def test_a_batch_of_spark_submit_is_an_application_and_the_connect_server_is_none() -> None:
    assert on_the_cluster(MASTER) == ({"app-2-0001"}, {"worker-1", "worker-2"})
    assert on_the_cluster(MASTER.replace("transactions batch 5", "")) == (set(), set())


WORKER = """
2026-11-22T04:27:52.08Z 04:27:52.07Z [info] [fd2b] Task execute_workload[fd2b] received
2026-11-22T04:27:52.09Z 04:27:52.08Z [info] [fd2b] Executing workload in Celery: log_path='task_id=gate/a.log' ti=DTO(task_id='gate')
2026-11-22T04:28:01.00Z 04:28:01.07Z [info] [0c1b] Executing workload in Celery: ti=DTO(id='0', task_id='sales.process', dag_id='a')
"""


def test_what_a_worker_of_celerys_has_begun_is_known_by_its_name_and_when() -> None:
    assert taken_by_celery(WORKER) == [("2026-11-22T04:27:52.09Z", "gate"), ("2026-11-22T04:28:01.00Z", "process")]


AUDIT = """
2026-11-22T04:46:01.00Z ==> Vault server started! Log data will stream in below:
2026-11-22T04:46:02.00Z {"request":{"operation":"read","path":"airflow/data/connections/sluice_s3"},"type":"request"}
2026-11-22T04:46:03.00Z {"request":{"operation":"read","path":"airflow/data/connections/sluice_s3"},"type":"response"}
2026-11-22T04:46:04.00Z {"request":{"operation":"update","path":"airflow/data/connections/sluice_ledger"},"type":"response"}
2026-11-22T04:46:05.00Z {"error":"denied","request":{"operation":"read","path":"airflow/data/connections/sluice_spark"},"type":"response"}
2026-11-22T04:46:06.00Z {"request":{"operation":"read","path":"airflow/data/others/a"},"type":"response"}
"""


def test_a_connection_was_read_from_vault_where_the_audit_has_an_answer_without_an_error() -> None:
    assert connections_read(AUDIT) == {"sluice_s3": 1}
