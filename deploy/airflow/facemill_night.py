"""Every night: score the photos that are new or changed, and look for their people in a gallery.

Copy this file to Airflow's folder of DAGs, and set the variables of `deploy/night.env` in the
environment of its workers, with FACEMILL_DEPLOY, the folder that holds `night.sh`. Airflow needs
neither facemill nor Beam in its own environment: FACEMILL names the command in another one.

The partition of a night is the date of its logical date, not of the moment at which it runs: a
night that is cleared and run again next week replaces its own results, whole. So retries are safe.
"""

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "facemill_night",
    description="score and match the photos of a night",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1),
    # Each night takes up all that no night before has seen, so none has to be made up for.
    catchup=False,
    # Two nights at once would both score the photos that are new.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
    doc_md=__doc__,
    tags=["facemill"],
):
    score, match = (
        BashOperator(
            task_id=step,
            bash_command=f'"$FACEMILL_DEPLOY/night.sh" {{{{ logical_date | ds }}}} {step}',
            append_env=True,
        )
        for step in ("score", "match")
    )
    score >> match
