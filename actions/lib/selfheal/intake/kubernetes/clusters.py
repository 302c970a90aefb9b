"""The clusters that a sensor looks at, and what it keeps of each from look to look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

from selfheal.apis.kubernetes import client as api
from selfheal.apis.kubernetes import settings as api_settings
from selfheal.intake import components
from selfheal.intake.kubernetes import look as looks
from selfheal.intake.kubernetes.cluster import Cluster
from selfheal.intake.kubernetes.restarts import Restarts
from selfheal.intake.kubernetes.view import View

if TYPE_CHECKING:
    from selfheal.context import Context


class Clusters:
    """The targets of the setting `kubernetes` by their component in system_status,
    `kubernetes:NAME`. `hide` is told each secret that is learned on the way.
    """

    def __init__(self, hide: Callable[[str], None]) -> None:
        self._hide = hide
        self._known: Dict[str, Cluster] = {}

    def look(self, ctx: Context, component: str) -> Tuple[str, Dict[str, Any]]:
        """Look once: (state, what was found). Raises SelfhealError."""
        return looks.look(ctx, self._of(ctx, component))

    def watched(self) -> List[str]:
        """The components of clusters whose pods can be watched now."""
        return [component for component, one in self._known.items() if one.is_watching]

    def watch(self, ctx: Context, component: str, end: float) -> None:
        """Watch the pods of one of them for a slice of time, at most until the monotonic time
        `end`. Raises SelfhealError.
        """
        looks.follow(ctx, self._known[component], end)

    def forget(self, component: str) -> None:
        """After a failure: a new connection, and of counts nothing that only memory says. Where the
        watch goes on is kept: the server tells what has happened meanwhile, or that it has
        forgotten.
        """
        known = self._known.get(component)
        if known is not None:
            known.restarts.forget()
            known.client.close()

    def close(self) -> None:
        """Close all connections."""
        while self._known:
            self._known.popitem()[1].client.close()

    def _of(self, ctx: Context, component: str) -> Cluster:
        if component not in self._known:
            name = component[len(components.cluster("")):]
            target = ctx.config.targets(components.CLUSTERS)[name]
            settings = api_settings.completed(ctx.config, name, target)
            restarts = Restarts(name)
            client = api.connect_target(name, settings, ctx.clock, self._hide)
            self._known[component] = Cluster(client, restarts, View(restarts))
        return self._known[component]
