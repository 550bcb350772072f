"""The words that other trackers have for what exptrack names otherwise, so that an error can say what to call.

Sources: the documented interfaces of MLflow, Weights & Biases, Aim, Trackio, Sacred, Comet, Neptune, DVCLive
and the SummaryWriter of TensorBoard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_WORDS_OF_RUN = {
    "run.log({name: value}, step)": "add_scalar add_scalars log_dict log_metrics log_scalar log_scalars track",
    "run.update_config(values)": (
        "add_hparams log_hparams log_hyperparams log_param log_parameter log_parameters log_params params"
    ),
    "run.artifacts.register_file(name, path)": (
        "add_artifact log_artifact log_asset log_file save track_files upload upload_file"
    ),
    "run.artifacts.register_dir(name, folder)": "log_artifacts log_directory upload_files",
    "run.artifacts.register_checkpoint(name, path, step)": "log_checkpoint log_model save_model",
    "run.use_artifact(reference)": "add_resource log_dataset log_input log_inputs",
    "run.log_image(name, image, step)": "add_figure add_image log_figure",
    "run.log_histogram(name, values, step)": "add_histogram",
    "run.log_text(name, text, step)": "add_text",
    "run.add_tag(tag), or run.set_attribute(key, value)": "add_tags log_tag set_tag set_tags",
    "run.finish()": "close end end_run stop",
    "run.run_id": "id",
    "run.metrics": "results summary",
    "run.series(metric)": "history",
}
_WORDS_OF_ARCHIVE = {
    "archive.start_run(config)": "create_run init new_run",
    "archive.runs()": "get_runs query_runs search_runs",
    "archive.get_run(run_id)": "run",
    "run.log(values), of the run that archive.start_run() returns": "log log_metric log_metrics",
    "archive.backup(path)": "copy save snapshot",
}
_WORDS_OF_MODULE = {
    "exptrack.start_run(config)": "Experiment init new_run",
    "run.log(values), of the run that exptrack.start_run() returns": "log log_metric log_metrics",
    "run.update_config(values), of the run that exptrack.start_run() returns": (
        "log_hparams log_hyperparams log_param log_params"
    ),
    "run.artifacts.register_file(name, path), of the run that exptrack.start_run() returns": (
        "log_artifact log_artifacts save"
    ),
    "run.log_image(name, image, step), of the run that exptrack.start_run() returns": "log_figure log_image",
    "run.log_text(name, text, step), of the run that exptrack.start_run() returns": "log_text",
    "run.add_tag(tag), of the run that exptrack.start_run() returns": "set_tag set_tags",
    "run.metrics, of the run that exptrack.start_run() returns": "summary",
    "run.finish(), of the run that exptrack.start_run() returns": "end_run finish",
    "exptrack.start_run(config, group=name)": "create_experiment set_experiment",
    "exptrack.Archive(path)": "Api MlflowClient connect open set_tracking_uri",
    "exptrack.Archive(path).runs()": "search_runs",
    "exptrack.current_run()": "active_run last_active_run",
}


def _turn(words: Mapping[str, str]) -> dict[str, str]:
    return {word: call for call, several in words.items() for word in several.split()}


CALLS = {"run": _turn(_WORDS_OF_RUN), "archive": _turn(_WORDS_OF_ARCHIVE), "exptrack": _turn(_WORDS_OF_MODULE)}


def find_close(name: str, known: Iterable[str]) -> str | None:
    """Return the public one of these names that is spelt nearly so."""
    from difflib import get_close_matches

    close = get_close_matches(name, [one for one in known if one[:1] != "_"], n=1)
    return close[0] if close else None
