"""The sources of errors that a sensor looks at, and what it keeps of each from look to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.config import Config
from selfheal.errors import keywords
from selfheal.errors.book import ErrorBook
from selfheal.errors.classify import Rules
from selfheal.errors.judge import Judge
from selfheal.exceptions import ConfigError
from selfheal.intake.components import FILES
from selfheal.intake.elk import poll as elk
from selfheal.intake.elk import settings as elk_settings
from selfheal.intake.files import poll as log_files
from selfheal.store import status as states

if TYPE_CHECKING:
    from selfheal.apis.elasticsearch.search import Search
    from selfheal.context import Context

_RED = "red"  # yellow is the best that a cluster of one node can be


class Sources:
    """Search targets and log files by their component in system_status: `elk:NAME`, `log_files`."""

    def __init__(self) -> None:
        self._judge: Optional[Judge] = None
        self._searches: Dict[str, Search] = {}
        self._states: Dict[str, elk.PollState] = {}
        self._files: Dict[str, Any] = {}

    def look(self, ctx: Context, component: str) -> Tuple[str, Dict[str, Any]]:
        """Look once: (state, what was found). Raises SelfhealError."""
        judge = self._judge_of(ctx.config)
        if component == FILES:
            book = ErrorBook(ctx.store, ctx.config.get("monitoring.scope_by"))
            found = log_files.poll_files(ctx, judge, book, self._files)
        else:
            name = component.partition(":")[2]
            search = self._search_of(ctx.config, name)
            state = self._states.setdefault(name, elk.PollState(judge))
            found = elk.poll(ctx, name, search, state)
        because = what_is_amiss(found)
        return (states.DEGRADED, dict(found, because=because)) if because else (states.OK, found)

    def forget(self, component: str) -> None:
        """After a failure: new connections, and nothing believed that only memory says."""
        name = component.partition(":")[2]
        if name in self._states:
            self._states[name].forget()
        search = self._searches.pop(name, None)
        if search is not None:
            search.close()
        if component == FILES:
            self._files.clear()

    def close(self) -> None:
        """Close all connections."""
        while self._searches:
            self._searches.popitem()[1].close()

    def _judge_of(self, config: Config) -> Judge:
        if self._judge is None:
            paths = config.get("monitoring.classification_paths") or []
            if not isinstance(paths, (list, tuple)):
                raise ConfigError(
                    "monitoring.classification_paths must be a list of files, not %r" % (paths,)
                )
            self._judge = Judge(Rules.load([str(path) for path in paths]))
        return self._judge

    def _search_of(self, config: Config, name: str) -> Search:
        if name not in self._searches:
            from selfheal.apis.elasticsearch.search import Search

            target = config.targets(elk_settings.SECTION)[name]
            settings = keywords.completed(elk_settings.completed(config, name, target))
            self._searches[name] = Search(settings)
        return self._searches[name]


def what_is_amiss(found: Dict[str, Any]) -> List[str]:
    """What a person should know about a look that succeeded."""
    because = []
    health = found.get("health") or {}
    if health.get("status") == _RED:
        because.append(str(health.get("detail") or "the cluster is red"))
    because += [str(warning) for warning in found.get("warnings") or ()]
    because += ["%s: %s" % trouble for trouble in sorted((found.get("troubles") or {}).items())]
    if found.get("error"):
        because.append("incidents wait for StackStorm: %s" % found["error"])
    if found.get("behind"):
        because.append("there is more to catch up than one look can")
    if found.get("storm"):
        because.append(str(found["storm"]["note"]))
    for what, why in (
        ("late", "%d documents came too late for the look that should have seen them"),
        ("rejected", "%d documents could not be read; they are counted as unreadable"),
    ):
        if found.get(what):
            because.append(why % found[what])
    return because
