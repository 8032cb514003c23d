"""`make bench` prints what was promised beside what was measured; it fails on neither, as machines differ."""


def pytest_terminal_summary(terminalreporter, config):
    measured = getattr(getattr(config, "_benchmarksession", None), "benchmarks", [])
    if not measured:
        return
    rows = [("benchmark", "promised", "measured, median")]
    for one in measured:
        found = {name: value for name, value in one.extra_info.items() if name != "promised"}
        others = [f"{name} {value:.4g}" for name, value in found.items()]
        rows.append((one.name, one.extra_info.get("promised", ""), "; ".join([_seconds(one["median"]), *others])))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    terminalreporter.section("promised and measured")
    for name, promised, found in rows:
        terminalreporter.write_line(f"{name:<{widths[0]}}  {promised:<{widths[1]}}  {found}")


def _seconds(seconds):
    scale, unit = next((s, u) for s, u in ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (0, "ns")) if seconds >= s)
    return f"{seconds / (scale or 1e-9):.3g} {unit}"
