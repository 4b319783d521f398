"""The only door to MLflow: a mirror of what the ledger decides, for people to look at.

The store is the database `mlflow` beside the lake, used directly, so that no server has to run;
`tracking.uri` names a remote one. Whatever the store holds may be lost: the ledger and the local
copies of models serve without it. A process talks to one store at a time.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import StoredDataCorrupt
from tasks.handles import Candidate, TrainingRecord
from tasks.liveness import name_process
from tasks.studies import StudyRecord
from tasks.tracking import evidence
from tasks.tracking.leftovers import PROCESS_TAG, close_abandoned
from tasks.tracking.store import (
    answers,
    artifact_location,
    is_outage,
    migrate,
    probe,
    quieten,
    resolve_store,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

    from tasks.settings import Settings

CHAMPION, CHALLENGER = "champion", "challenger"
# The key of the model's files among a pyfunc's artifacts; `model_code.py` looks there.
MODEL_ARTIFACT = "model"
_LONGEST_TAG = 4900

_LOG = logging.getLogger("holdfast.tracking")


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry of models."""

    name: str
    version: int
    run_id: str


def model_name(deployment: str) -> str:
    """The registered name of a deployment's churn model."""
    return f"{deployment}.churn"


class Tracker:
    """One deployment's experiment and registered model in a store that has answered."""

    def __init__(self, settings: Settings, uri: str, client: MlflowClient) -> None:
        self.settings = settings
        self.uri = uri
        self.model_name = model_name(settings.deployment)
        self._client = client

    def of_model(self, name: str) -> Tracker:
        """The same store, for the aliases and versions of another registered model."""
        other = Tracker(self.settings, self.uri, self._client)
        other.model_name = name
        return other

    def close_abandoned(self) -> int:
        """Mark runs that killed trainings of this host have left open KILLED; how many."""
        with answers(self.uri):
            return close_abandoned(self._client, self._experiment())

    def log_training(self, record: TrainingRecord) -> str:
        """Write one parent run with all that the record tells; its run id.

        Values go in one batch, trials as one table and the best few as child runs, figures and
        tables as files. The run stays open until `finish_run`.
        """
        from mlflow.entities import Param

        with answers(self.uri):
            experiment = self._experiment()
            run = self._client.create_run(
                experiment,
                run_name=f"{record.as_of:%Y-%m-%d} {record.model.name}",
                tags={**evidence.run_tags(record), PROCESS_TAG: name_process()},
            )
            run_id: str = run.info.run_id
            self._client.log_batch(
                run_id,
                metrics=evidence.metric_points(evidence.training_metrics(record)),
                params=[
                    Param(key, str(value)) for key, value in evidence.run_params(record).items()
                ],
            )
            self._client.log_inputs(run_id, [evidence.dataset_input(record)])
            with tempfile.TemporaryDirectory() as temporary:
                directory = Path(temporary)
                figures = self.settings.tracking.figures
                evidence.write_evidence(record, directory, figures=figures)
                self._client.log_artifacts(run_id, str(directory))
            self._log_children(experiment, run_id, record)
        return run_id

    def register(self, candidate: Candidate, run_id: str) -> Registered:
        """Log the candidate's directory as a pyfunc model of the run and register a version."""
        kind = "rule" if candidate.kind == "rule" else "model"
        return self.register_files(
            self.model_name,
            candidate.directory,
            run_id,
            label=kind,
            signature=evidence.read_signature(candidate),
            requirements=evidence.pinned_requirements(candidate.kind),
            purpose=f"Who of '{self.settings.deployment}' is about to leave.",
            description=f"{kind}: {candidate.name}",
            tags={
                "holdfast.kind": kind,
                "holdfast.candidate": candidate.name,
                "holdfast.model_hash": candidate.model_hash,
                "holdfast.snapshot_id": str(candidate.snapshot_id),
                "holdfast.features_fingerprint": candidate.features_fingerprint,
            },
        )

    def register_files(
        self,
        name: str,
        directory: Path,
        run_id: str,
        *,
        label: str,
        signature: ModelSignature,
        requirements: Sequence[str],
        purpose: str,
        description: str,
        tags: Mapping[str, str],
    ) -> Registered:
        """Log a model directory as pyfunc of the run and register it as a version of `name`.

        Its `model_code.py` is the model from code; the tags must hold `holdfast.model_hash`. The
        alias `challenger` is set on it.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        with answers(self.uri), tempfile.TemporaryDirectory() as temporary:
            files = Path(temporary) / MODEL_ARTIFACT
            shutil.copytree(directory, files, ignore=shutil.ignore_patterns("__pycache__"))
            with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
                # It asks for type hints and an input example; the signature is explicit. A filter
                # alone does not do, since MLflow sets its own.
                warnings.simplefilter("ignore")
                warnings.showwarning = lambda *_args, **_kwargs: None
                logged = mlflow.pyfunc.log_model(
                    name=label,
                    python_model=str(files / "model_code.py"),
                    artifacts={MODEL_ARTIFACT: str(files)},
                    signature=signature,
                    pip_requirements=list(requirements),
                    metadata={"holdfast_model_hash": tags["holdfast.model_hash"]},
                )
            try:
                self._client.create_registered_model(name, description=purpose)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = self._client.create_model_version(
                name,
                source=logged.model_uri,
                run_id=run_id,
                model_id=logged.model_id,
                description=description,
                tags=dict(tags),
            )
            number = int(version.version)
            self._client.set_registered_model_alias(name, CHALLENGER, str(number))
        return Registered(name, number, run_id)

    def log_study(self, record: StudyRecord) -> str:
        """Write the parent run of another study into `<deployment>.<subject>`; its run id.

        Values in one batch, trials as the table `trials.json`, the chosen ones as child runs, the
        directory's files as artifacts. The run stays open until `finish_run`.
        """
        from mlflow.entities import Param

        with answers(self.uri):
            experiment = self._experiment(f"{self.settings.deployment}.{record.subject}")
            run = self._client.create_run(
                experiment,
                run_name=record.run_name,
                tags={**evidence.study_tags(record), PROCESS_TAG: name_process()},
            )
            run_id: str = run.info.run_id
            self._client.log_batch(
                run_id,
                metrics=evidence.metric_points(record.metrics),
                params=[Param(key, str(value)[:6000]) for key, value in record.params.items()],
            )
            self._client.log_inputs(run_id, [evidence.study_input(record)])
            with tempfile.TemporaryDirectory() as temporary:
                directory = Path(temporary)
                if record.files is not None:
                    shutil.copytree(record.files, directory, dirs_exist_ok=True)
                if record.trials:
                    evidence.write_table(directory / "trials.json", evidence.study_rows(record))
                self._client.log_artifacts(run_id, str(directory))
            wanted = set(record.child_trials)
            for trial in (one for one in record.trials if one.number in wanted):
                self._log_child(
                    experiment,
                    run_id,
                    f"trial {trial.number}",
                    record.command,
                    trial.measures,
                    trial.params,
                )
        return run_id

    def tag_decision(
        self, tags: Mapping[str, str], *, run_id: str | None = None, version: int | None = None
    ) -> None:
        """Write a decision onto the run and the version it is about, as `holdfast.*` tags."""
        from mlflow.entities import RunTag
        from mlflow.exceptions import MlflowException

        named = {f"holdfast.{key}": value[:_LONGEST_TAG] for key, value in tags.items()}
        with answers(self.uri):
            try:
                if run_id is not None:
                    self._client.log_batch(
                        run_id, tags=[RunTag(key, value) for key, value in named.items()]
                    )
                if version is not None:
                    for key, value in named.items():
                        self._client.set_model_version_tag(
                            self.model_name, str(version), key, value
                        )
            except MlflowException as error:
                # A run or version deleted in the UI takes no tags; the ledger has the decision.
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                _LOG.warning("The decision could not be shown on a run that is gone from MLflow.")

    def describe_run(self, run_id: str, markdown: str) -> None:
        """Write what MLflow shows at the head of the run's page; a run that is gone has none.

        Lines beyond what a tag holds are left out.
        """
        from mlflow.exceptions import MlflowException

        with answers(self.uri):
            try:
                self._client.set_tag(run_id, "mlflow.note.content", _fit_tag(markdown))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                _LOG.warning("The decision could not be told on a run that is gone from MLflow.")

    def log_page(
        self,
        name: str,
        page: Path,
        tags: Mapping[str, str],
        *,
        subject: str = "oncall",
        command: str = "holdfast quarantine report",
    ) -> str:
        """Put a page for people, as HTML, into the run `name` of `<deployment>.<subject>`.

        There is one run a name: logged again, the page replaces the one before. Its run id.
        """
        with answers(self.uri):
            experiment = self._experiment(f"{self.settings.deployment}.{subject}")
            found = self._client.search_runs(
                [experiment], f"tags.`holdfast.page` = '{name}'", max_results=1
            )
            run_id: str = (
                found[0].info.run_id
                if found
                else self._client.create_run(
                    experiment,
                    run_name=name,
                    tags={
                        "holdfast.page": name,
                        "mlflow.source.name": command,
                        "mlflow.user": "holdfast",
                    },
                ).info.run_id
            )
            self._client.log_artifact(run_id, str(page))
            for key, value in tags.items():
                self._client.set_tag(run_id, f"holdfast.{key}", value[:_LONGEST_TAG])
            if not found:
                self._client.set_terminated(run_id)
        return run_id

    def add_files(self, run_id: str, directory: Path) -> None:
        """Add a directory's files to a run's artifacts; what has the same name is replaced.

        A run that was deleted in the UI takes none.
        """
        from mlflow.exceptions import MlflowException

        with answers(self.uri):
            try:
                self._client.log_artifacts(run_id, str(directory))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                _LOG.warning("Figures could not be shown on a run that is gone from MLflow.")

    def log_series(self, run_id: str, points: Sequence[tuple[str, float, int, int]]) -> None:
        """Add points (metric, value, milliseconds since 1970, step) to a run; twice is once.

        A run that was deleted in the UI takes none.
        """
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException

        with answers(self.uri):
            try:
                self._client.log_batch(run_id, metrics=[Metric(*point) for point in points])
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                _LOG.warning("Figures could not be shown on a run that is gone from MLflow.")

    def finish_run(self, run_id: str, *, failed: bool = False) -> None:
        """Close the parent run."""
        with answers(self.uri):
            self._client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def alias_version(self, alias: str) -> int | None:
        """The version that an alias points at, None where there is none."""
        from mlflow.exceptions import MlflowException

        with answers(self.uri):
            try:
                found = self._client.get_model_version_by_alias(self.model_name, alias)
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return int(found.version)

    def version_hash(self, version: int) -> str | None:
        """The model hash that a version was registered with, None where it is gone."""
        from mlflow.exceptions import MlflowException

        with answers(self.uri):
            try:
                found = self._client.get_model_version(self.model_name, str(version))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        return str(found.tags.get("holdfast.model_hash", ""))

    def set_alias(self, alias: str, version: int | None) -> None:
        """Point an alias at a version; None takes it away."""
        with answers(self.uri):
            if version is None:
                self._client.delete_registered_model_alias(self.model_name, alias)
            else:
                self._client.set_registered_model_alias(self.model_name, alias, str(version))

    def fetch_model(self, version: int, directory: Path) -> Path:
        """Copy a version's model files below `directory`; where they are. Verify before loading.

        Raises StoredDataCorrupt (74) if the store has lost them.
        """
        import mlflow
        from mlflow.exceptions import MlflowException

        with answers(self.uri):
            try:
                found = mlflow.artifacts.download_artifacts(
                    artifact_uri=f"models:/{self.model_name}/{version}",
                    dst_path=str(directory),
                    tracking_uri=self.uri,
                )
            except (MlflowException, OSError) as error:
                if is_outage(error):
                    raise
                raise StoredDataCorrupt(
                    f"MLflow has lost version {version} of {self.model_name}.",
                    found=f"{type(error).__name__} on fetching its files",
                ) from error
        return Path(found) / "artifacts" / MODEL_ARTIFACT

    def _experiment(self, name: str | None = None) -> str:
        from mlflow.exceptions import MlflowException

        name = name or self.settings.deployment
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                created: str = self._client.create_experiment(
                    name, artifact_location=artifact_location(self.settings, self.uri)
                )
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = self._client.get_experiment_by_name(name)
            else:
                return created
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _log_children(self, experiment: str, parent: str, record: TrainingRecord) -> None:
        for trial in evidence.best_trials(record, self.settings.tracking.child_runs):
            values = {record.objective: trial.value or 0.0, "seconds": trial.seconds}
            name = f"trial {trial.number}"
            self._log_child(experiment, parent, name, "holdfast train", values, trial.params)

    def _log_child(
        self,
        experiment: str,
        parent: str,
        name: str,
        command: str,
        metrics: Mapping[str, float],
        params: Mapping[str, float | int | str],
    ) -> None:
        from mlflow.entities import Param

        child = self._client.create_run(
            experiment,
            run_name=name,
            tags={
                "mlflow.parentRunId": parent,
                "mlflow.source.name": command,
                "mlflow.user": "holdfast",
                PROCESS_TAG: name_process(),
            },
        ).info.run_id
        self._client.log_batch(
            child,
            metrics=evidence.metric_points(metrics),
            params=[Param(key, str(value)) for key, value in params.items()],
        )
        self._client.set_terminated(child)


def _fit_tag(markdown: str) -> str:
    if len(markdown) <= _LONGEST_TAG:
        return markdown
    return markdown[:_LONGEST_TAG].rpartition("\n")[0] + "\n"


@contextmanager
def open_tracker(settings: Settings) -> Iterator[Tracker]:
    """The deployment's tracker, its store made and migrated if need be.

    Raises ServiceDown (69) if the store does not answer, ConfigurationError (78) for a store that
    a newer MLflow has made.
    """
    quieten(settings)
    uri, database = resolve_store(settings)
    probe(settings, uri, database)
    import mlflow

    if database is not None:
        migrate(database, uri)
    with answers(uri), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        client = mlflow.MlflowClient(uri, uri)
    yield Tracker(settings, uri, client)
