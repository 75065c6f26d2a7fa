"""The figures and summary.json of tests/sim/run.sh. Usage: draw.py FOLDER."""
import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

PLANS = ("careful", "normal", "urgent")
RULES = {"holdfast": "Holdfast", "hawkbit": "like hawkBit", "none": "no rollout"}
SCENARIOS = {"group": "a root that 2 % need", "silencing": "15 % fall silent", "late": "5 % fail days later"}
COLOURS = {"careful": "#4477aa", "normal": "#228833", "urgent": "#cc6677",
           "holdfast": "#228833", "hawkbit": "#cc6677", "none": "#777777"}
DAY_S, HOUR_S = 86400, 3600

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "holdfast", "font.family": "sans-serif",
                     "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
                     "axes.grid": True, "grid.color": "#dddddd", "legend.frameon": False})


def save(figure, folder, name):
    figure.tight_layout()
    figure.savefig(folder / name, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def draw_convergence(data, folder):
    """The share of the fleet that has installed a good bundle; a dot where a stage opens."""
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for plan in PLANS:
        run, devices = data[f"convergence-{plan}"]["runs"][0], data[f"convergence-{plan}"]["devices"]
        shares = [100 * n / devices for n in run["hourly"]["installed"]]
        axes.plot([hour / 24 for hour in range(len(shares))], shares, color=COLOURS[plan], label=plan)
        opened = [s // HOUR_S for s in run["opened_s"] if s is not None]
        axes.plot([h / 24 for h in opened], [shares[min(h, len(shares) - 1)] for h in opened], "o",
                  color=COLOURS[plan], markersize=4)
    axes.set(xlim=(0, 30), ylim=(0, 100), xlabel="days after the publication",
             ylabel="devices that have installed it, %")
    axes.legend(loc="lower right")
    save(figure, folder, "convergence.svg")


def draw_harm(data, folder):
    """Devices that installed a bad bundle and lost an endpoint, by plan and rule."""
    figure, panels = plt.subplots(1, len(SCENARIOS), figsize=(9, 3.2), sharey=True)
    for axes, (scenario, title) in zip(panels, SCENARIOS.items()):
        for i, (rule, name) in enumerate(RULES.items()):
            harmed = [data[f"harm-{scenario}-{plan}-{rule}"]["runs"][0]["harmed"] for plan in PLANS]
            axes.bar([x + (i - 1) * 0.27 for x in range(len(PLANS))], [max(n, 1) for n in harmed], 0.25,
                     color=COLOURS[rule], label=name)
        axes.set(title=title, yscale="log", xticks=range(len(PLANS)), xticklabels=PLANS)
    panels[0].set_ylabel("devices that lost an endpoint")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper center", ncol=3)
    figure.tight_layout(rect=(0, 0, 1, 0.92))
    figure.savefig(folder / "harm.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def draw_pauses(data, folder):
    """How soon a bad bundle is paused, as the share of all runs."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for axes, scenario in zip(panels, ("group", "silencing")):
        for plan in PLANS:
            runs = data[f"pauses-{scenario}-{plan}-holdfast"]["runs"]
            hours = sorted(r["paused_s"] / HOUR_S for r in runs if r["paused_s"] is not None)
            axes.step(hours, [100 * (i + 1) / len(runs) for i in range(len(hours))], where="post",
                      color=COLOURS[plan], label=plan)
        axes.set(title=SCENARIOS[scenario], xlim=(0, 200), ylim=(0, 102),
                 xlabel="hours after the publication")
    panels[0].set_ylabel("runs that are paused, %")
    panels[0].legend(loc="lower right")
    save(figure, folder, "pauses.svg")


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def summarize_run(run):
    keys = ("opened_s", "paused_s", "complete_s", "installed", "harmed", "early", "left_out", "reason")
    return {key: run[key] for key in keys} | {"ledger_bytes": run["ledger_bytes"],
                                             "counted": run["all_stages"]["devices"]}


def summarize_series(runs):
    paused = [r for r in runs if r["paused_s"] is not None]
    hours = [r["paused_s"] / HOUR_S for r in paused]
    latency = [(r["paused_s"] - r["first_harm_s"]) / HOUR_S for r in paused if r["first_harm_s"] is not None]
    return {"runs": len(runs), "paused": len(paused), "stalled": sum(r["is_stalled"] for r in runs),
            "paused_in_stage": {k: sum(r["stage"] == k for r in paused) for k in range(1, 6)},
            "pause_h": {"median": percentile(hours, 0.5), "p95": percentile(hours, 0.95)},
            "pause_after_first_harm_h": {"median": percentile(latency, 0.5), "p95": percentile(latency, 0.95)},
            "harmed": {"mean": statistics.mean(r["harmed"] for r in runs),
                       "p95": percentile([r["harmed"] for r in runs], 0.95),
                       "max": max(r["harmed"] for r in runs)}}


def main():
    folder = pathlib.Path(sys.argv[1])
    data = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*-*.json"))}
    summary = {name: summarize_run(d["runs"][0]) if len(d["runs"]) == 1 else summarize_series(d["runs"])
               for name, d in data.items()}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    draw_convergence(data, folder)
    draw_harm(data, folder)
    draw_pauses(data, folder)


if __name__ == "__main__":
    main()
