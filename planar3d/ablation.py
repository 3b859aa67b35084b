"""One table of a sweep: ``python -m planar3d.ablation folder=outputs/ablation/counts/2026-11-25_12-00-00``.

A sweep of ``conf/ablation`` gathers itself when its last job has ended; the command does it for one that was broken off. Each job leaves
``summary.csv`` and, beside it, what its command line asked for (``overrides.json``). ``ablation.csv`` holds the rows of all of them,
with the overrides that differ between jobs as columns. All goes by files, so that jobs may run anywhere that writes to the folder.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from planar3d.callbacks.dashboard import log_sweep
from planar3d.config import command
from planar3d.io.csv_rows import write_csv
from planar3d.io.whole_file import whole_file
from planar3d.results import announce, without_paths

__all__ = ["GatherSweep", "gather", "main"]

OVERRIDES, SUMMARY, TABLE = "overrides.json", "summary.csv", "ablation.csv"
HYDRAS = "multirun.yaml"


class GatherSweep(Callback):
    """Hydra's callback of a sweep: every job writes down its overrides, and the end of the sweep gathers all.

    Args:
        project: Project of Weights & Biases that gets the table as well; None for none.
        offline: Whether it is kept in the sweep's folder, for ``wandb sync``.
    """

    def __init__(self, *, project: str | None = None, offline: bool = True) -> None:
        self.project = project
        self.offline = offline

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Beside the summary of a job that ended well, what made it."""
        folder = Path(config.hydra.runtime.output_dir)
        if (folder / SUMMARY).is_file():
            overrides: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
            with whole_file(folder / OVERRIDES) as partial:
                partial.write_text(json.dumps(_without_paths(overrides), indent=2) + "\n", encoding="utf-8")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Gather, and say where the table is."""
        folder = Path(config.hydra.sweep.dir)
        rows = gather(folder)
        (folder / HYDRAS).unlink(missing_ok=True)  # it holds every path that was given
        if self.project is not None:
            log_sweep(rows, name=config.get("ablation", folder.name), folder=folder, project=self.project, offline=self.offline)
        Console(soft_wrap=True, highlight=False).print(f"Wrote {TABLE} of {_jobs(rows)} jobs to {folder}/", markup=False)


@command("ablation")
def main(cfg: DictConfig) -> None:
    """Gather the jobs of a sweep that has been run."""
    gather(cfg.folder, cfg.output_dir)
    announce(cfg.output_dir or cfg.folder)


def gather(folder: str | Path, output_dir: str | Path | None = None) -> list[dict[str, str]]:
    """Write ``ablation.csv``, the summaries of all jobs below a folder.

    Args:
        folder: Of the sweep.
        output_dir: Where the table goes; None for the same folder.

    Returns:
        Its rows: ``job``, the overrides that differ between jobs (all of them if there is but one), and the columns of the summaries.

    Raises:
        ValueError: The folder holds no job that ended well.
    """
    folder = Path(folder)
    jobs = sorted((p.parent for p in folder.rglob(OVERRIDES) if (p.parent / SUMMARY).is_file()), key=lambda job: _natural(job, folder))
    if not jobs:
        raise ValueError(
            f"folder {folder} holds no job of a sweep that ended well; give the folder below outputs/ablation that the sweep made"
        )
    overrides = [json.loads((job / OVERRIDES).read_text(encoding="utf-8")) for job in jobs]
    names = list(dict.fromkeys(name for own in overrides for name in own))
    varied = [n for n in names if len(jobs) == 1 or len({own.get(n) for own in overrides}) > 1]
    rows: list[dict[str, str]] = []
    for job, own in zip(jobs, overrides, strict=True):
        made = {"job": job.relative_to(folder).as_posix()} | {name: own.get(name) or "" for name in varied}
        with (job / SUMMARY).open(newline="", encoding="utf-8") as stream:
            rows += [made | row for row in csv.DictReader(stream)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    rows = [dict.fromkeys(columns, "") | row for row in rows]
    write_csv(Path(output_dir or folder) / TABLE, rows)
    return rows


def _without_paths(overrides: Sequence[str]) -> dict[str, str | None]:
    """Overrides by key; None for a value that may be a path, as that may name a patient."""
    kept: dict[str, str | None] = {}
    for override in overrides:
        name, _, value = override.lstrip("+~").partition("=")
        key = name.rpartition(".")[2]
        hidden = value != "null" and (re.search(r"[/\\$]", value) or without_paths(OmegaConf.create({key: value}))[key] is None)
        kept[name] = None if hidden else value
    return kept


def _natural(job: Path, folder: Path) -> list[tuple[int, str]]:
    """Orders job 10 after job 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in job.relative_to(folder).parts]


def _jobs(rows: Sequence[dict[str, str]]) -> int:
    """Number of jobs that rows come from."""
    return len({row["job"] for row in rows})


if __name__ == "__main__":
    main()
