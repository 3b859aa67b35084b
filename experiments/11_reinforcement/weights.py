"""What first proposals and their weights are like on cases of ``sim_v1_coarse``, without training anything.

    OMP_NUM_THREADS=1 python experiments/11_reinforcement/weights.py [cases=[0,2]] [pool=96]

For each case: how unusual the measurement is among the patient's phantoms, the inflation taken, the divergence of the proposal from the
prior, the effective share of the weights with each correction, the share of the weight that falls on the tenth of the prior's and the
proposal's phantoms whose views are most like those measured, and how far the organ shares of phantoms lie from the true ones (root mean
square of logarithms over liver, spleen, kidneys, small bowel and urinary bladder). Writes ``weights.csv`` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from analyse import single
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from planar3d.config import CONFIG_DIR
from planar3d.data.measured_datamodule import MeasuredDataModule
from planar3d.io import write_csv
from planar3d.organs import organ_id
from planar3d.phantom.organ_share import OrganShares
from planar3d.phantom.proposal import effective_share
from planar3d.phantom.share_likelihood import ShareLikelihood
from planar3d.reconstruction.organ_estimate import OrganEstimate
from planar3d.reinforcement import INFLATIONS

HERE = Path(__file__).parent
JUDGED = ("liver", "spleen", "kidney_left", "kidney_right", "small_bowel", "urinary_bladder")
SMALLEST_SHARE, LIKE = 0.3, 0.1


def main() -> None:
    """Fit, weigh, write, print."""
    options = OmegaConf.merge({"cases": [0, 2], "pool": 96, "anatomies": None}, OmegaConf.from_dotlist(sys.argv[1:]))
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        benchmark = instantiate(compose("evaluate", ["+benchmark=sim_v1_coarse"]).benchmark, _convert_="all")
    synthesizer, rows = benchmark.simulator.synthesizer, []
    for anatomy in benchmark.anatomies:
        if options.anatomies is not None and anatomy not in options.anatomies:
            continue
        (cases,) = benchmark.only([anatomy])
        for k in options.cases:
            problem = single(cases, k).problem
            data = MeasuredDataModule(problem=problem, synthesizer=synthesizer, batch_size=8)
            estimate = OrganEstimate(problem)
            shares = OrganShares(source=synthesizer.biodistribution, ids=estimate.ids, volumes_ml=estimate.volumes_ml)
            truth = shares.of_concentration(synthesizer.draw(benchmark.seeds(anatomy)[k : k + 1]).concentration)[0]
            judged = torch.tensor([i in map(organ_id, JUDGED) for i in estimate.ids.tolist()])

            prior = seen(data, estimate, shares, options.pool)
            likelihood = ShareLikelihood(shares, true=prior["true"], found=prior["found"])
            found = shares.of_activity(estimate(problem))[0]
            for inflation in INFLATIONS:
                proposal = likelihood.proposal(found, inflation=inflation)
                if likelihood.foreseen_share(proposal) >= SMALLEST_SHARE:
                    break
            data.aim(proposal, likelihood=likelihood, shares=shares, estimate=estimate, seed=0)
            drawn = seen(data, estimate, shares, options.pool)
            limit = torch.cat([prior["distance"], drawn["distance"]]).quantile(LIKE)
            like = drawn["distance"] <= limit
            row = {
                "anatomy": anatomy, "case": k, "surprise": likelihood.surprise(found), "inflation": inflation,
                "divergence": proposal.divergence(None),
                "share_local": effective_share(drawn["local"]), "share_prior": effective_share(drawn["prior"]),
                "like_from_prior": float((prior["distance"] <= limit).double().mean()),
                "like_from_proposal": float(like.double().mean()),
                "weight_on_like_local": on(like, drawn["local"]), "weight_on_like_prior": on(like, drawn["prior"]),
                "away_prior": rms((prior["true"] - truth)[:, judged]), "away_proposal": rms((drawn["true"] - truth)[:, judged]),
            }  # fmt: skip
            rows.append(row)
            print(", ".join(f"{key} {value:.3f}" if isinstance(value, float) else str(value) for key, value in row.items()), flush=True)
    write_csv(HERE / "weights.csv", rows)
    means = {key: sum(r[key] for r in rows) / len(rows) for key, value in rows[0].items() if isinstance(value, float)}
    print(f"{len(rows)} cases: " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()))


def seen(data: MeasuredDataModule, estimate: OrganEstimate, shares: OrganShares, pool: int) -> dict[str, Tensor]:
    """Phantoms of the current proposal: shares, what is found of them, distance of their views from those measured, and weights."""
    measured = data.problem.views / data.problem.views.sum()
    rows: dict[str, list[Tensor]] = {"true": [], "found": [], "distance": [], "local": [], "prior": []}
    for solved, seeds in data.pool(pool):
        found = estimate(solved.problem)
        rows["true"].append(shares.of_concentration(data.simulator.synthesizer.draw(seeds).concentration))
        rows["found"].append(shares.of_activity(found))
        views = solved.problem.views
        rows["distance"].append((views / views.sum(dim=(1, 2, 3), keepdim=True) - measured).abs().sum(dim=(1, 2, 3)))
        for correction in ("local", "prior"):
            rows[correction].append(data.log_weight(found, seeds, correction=correction))
    return {name: torch.cat(values) for name, values in rows.items()}


def on(chosen: Tensor, log_weight: Tensor) -> float:
    """Share of the weight that falls on some of the phantoms."""
    return float(torch.softmax(log_weight, dim=0)[chosen].sum())


def rms(values: Tensor) -> float:
    """Root mean square."""
    return float(values.square().mean().sqrt())


if __name__ == "__main__":
    main()
