"""What the trial reads in logs."""

from __future__ import annotations

from deploy.trial.main_job import on_the_cluster

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
