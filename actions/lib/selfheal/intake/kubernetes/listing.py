"""Reading the objects of a cluster page by page, kind by kind, and what to make of those that
cannot be read.

A list that is forbidden or fails is told, and the other kinds are read all the same; only when none
can be read has the look failed. Lists name no resource version: the server answers with what is
stored now, in pages, where one from its cache (resourceVersion=0) would come in one piece and may
be old.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Set,
    TypeVar,
)

from selfheal.apis.kubernetes import paths
from selfheal.apis.kubernetes.failures import RIGHTS, Forbidden, Missing, NotServed
from selfheal.exceptions import DeadlineExceeded, ExternalError, InvalidInput, SelfhealError
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client

PAGE = 500
_MOST_FAILURES = 2  # a server that fails so often is not asked for the rest
_MAX_WORDS = 300
Found = TypeVar("Found")
Object = Dict[str, Any]


class Lists:
    """One look's lists of `namespaces`, "" for all of them. `troubles` says of kinds that could not
    be read to their ends why not.
    """

    def __init__(self, client: Client, namespaces: List[str]) -> None:
        self._client = client
        self.namespaces = namespaces
        self._read: Set[str] = set()
        self.troubles: Dict[str, str] = {}
        self._failures = 0
        self._has_answered = False
        self._errors: List[SelfhealError] = []

    @property
    def complete(self) -> Set[str]:
        """The kinds that were read to their ends."""
        return self._read.difference(self.troubles)

    def was_read(self, kind: str) -> None:
        """`kind` was read to its end, as far as no trouble was noted."""
        self._read.add(kind)

    def read(
        self,
        kind: str,
        judge: Callable[[Object], Iterable[Found]],
        query: Optional[Mapping[str, Any]] = None,
    ) -> List[Found]:
        """What `judge` makes of all objects of `kind`, as far as they can be read. Raises what
        makes every further request vain (credentials, certificates, an unusable setting).
        """
        found: List[Found] = []

        def take(_namespace: str, items: Optional[List[Object]], _version: str) -> None:
            if items is None:
                del found[begun:]
            for item in items or ():
                found.extend(judge(item))

        begun = 0
        if self.is_worth_asking(kind):
            is_whole = True
            for namespace in self._scopes(kind):
                begun = len(found)
                is_whole = self.pages(kind, namespace, take, query) and is_whole
            if is_whole:
                self.was_read(kind)
        return found

    def is_worth_asking(self, kind: str) -> bool:
        """Whether the server answered so far; when it did not, that `kind` was not read is noted.
        """
        if self._failures < _MOST_FAILURES:
            return True
        self.troubles.setdefault(kind, "%s: not asked for, as the API server fails" % kind)
        return False

    def pages(
        self,
        kind: str,
        namespace: str,
        take: Callable[[str, Optional[List[Object]], str], None],
        query: Optional[Mapping[str, Any]] = None,
    ) -> bool:
        """Hand the objects of `kind` in `namespace` to `take(namespace, objects, version)`, page by
        page, with the list's resource version; None for the objects means that it begins anew.
        Whether it came to its end.
        """
        try:
            path = self._client.collection(kind, namespace)
            for page in self._client.pages(path, query, PAGE):
                if page is None:
                    take(namespace, None, "")
                    continue
                # Out of the page, so that it goes while the next one comes.
                items = page.pop("items", None)
                about = page.get("metadata")
                version = about.get("resourceVersion") if isinstance(about, dict) else None
                take(namespace, _objects(items), version if isinstance(version, str) else "")
                del items
            self._has_answered = True
        except NotServed:
            return True  # then there are none
        except InvalidInput as error:
            if namespace in self.namespaces:
                raise  # it is a setting
            self.note(kind, error)  # an object says that it is there
            return False
        except Forbidden as error:
            self.note(kind, error)
            return False
        except (ExternalError, DeadlineExceeded) as error:
            self._failures += 1
            self.note(kind, error)
            return False
        return True

    def get(self, kind: str, name: str, namespace: str = "") -> Optional[Object]:
        """One object; None when it is not there or cannot be read, which is noted, but not of one
        in a namespace that it is gone. Raises as `read` does.
        """
        if not self.is_worth_asking(kind):
            return None
        try:
            found = self._client.get(self._client.path(kind, namespace, name))
            self._has_answered = True
            return found
        except (ExternalError, DeadlineExceeded) as error:
            self._failures += 1
            self.note(kind, error)
        except InvalidInput as error:
            if not paths.resource_of(kind).is_namespaced:
                raise  # the name is a setting, that of others comes from an object
            self.note(kind, error)
        except (Forbidden, Missing) as error:
            if not namespace or isinstance(error, Forbidden):
                self.note(kind, error)
        return None

    def note(self, kind: str, error: SelfhealError) -> None:
        """Say why `kind` could not be read to its end."""
        self._errors.append(error)
        if isinstance(error, Forbidden):
            where = "namespace %s" % error.namespace if error.namespace else "the whole cluster"
            shown = "we may not %s %s in %s (%s)" % (error.verb, error.resource, where, RIGHTS)
        else:
            shown = str(error)
        self.troubles.setdefault(kind, one_line("%s: %s" % (kind, shown), _MAX_WORDS))

    def raise_if_nothing_was_read(self) -> None:
        """Raise the first failure when nothing at all could be read."""
        if self._errors and not self._has_answered:
            raise self._errors[0]

    def _scopes(self, kind: str) -> List[str]:
        return self.namespaces if paths.resource_of(kind).is_namespaced else [""]


def _objects(items: Any) -> List[Object]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
