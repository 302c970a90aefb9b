"""What a run says of tests that passed only when they were tried again (pytest --reruns).

Real servers, processes that are killed and a shared machine make a test fail now and then that
has nothing to say about the pack. The gate tries such a test once more; this names each of them,
and fails the run when there are so many that it is no accident.
"""

from __future__ import annotations

MOST = 3


def tried_again(config):
    """The ids of the tests of this run that were tried again, in order."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("rerun", ()) if reporter else ()
    return sorted({report.nodeid for report in reports})


def pytest_sessionfinish(session):
    """More than MOST of them are no accident."""
    if len(tried_again(session.config)) > MOST and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    """Name them, with why each failed at first."""
    names = tried_again(config)
    if not names:
        return
    terminalreporter.section("tried again: %d, at most %d may be" % (len(names), MOST))
    for report in terminalreporter.stats["rerun"]:
        terminalreporter.line(report.nodeid)
        terminalreporter.line(report.longreprtext)
