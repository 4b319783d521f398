"""Imported once, in the process that others are forked from: see `tests.processes`."""

import great_expectations  # noqa: F401
import lightgbm  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import mlflow.pyfunc  # noqa: F401
import optuna  # noqa: F401
import pandas  # noqa: F401
import psycopg2  # noqa: F401
import pyarrow.parquet  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.linear_model  # noqa: F401

import flows.cli  # noqa: F401
import tasks.intake.steps  # noqa: F401
from tasks import warehouse

# The signatures of DuckDB's extensions are checked once a process.
_database = warehouse._connect(64, 1, None)
warehouse._load_extensions(_database)
_database.close()
