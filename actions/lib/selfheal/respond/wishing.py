"""What a person asks of a tracker by hand: checked alike, and sent by way of the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from selfheal.exceptions import InvalidInput
from selfheal.tickets import wishes

if TYPE_CHECKING:
    from selfheal.context import Context

_MOST_BYTES = 5 * 1024 * 1024


def words(name: str, text: str) -> str:
    """`text`, which must not be empty. Raises InvalidInput."""
    if not text.strip():
        raise InvalidInput("%s is empty: give some words" % name)
    return text


def file(ctx: Context, name: str, content: str, incident_id: str) -> Dict[str, Any]:
    """{"name", "content", "media_type"} of a letter: the text `content`, or the report of one of
    our incidents, which has a name of its own. Raises InvalidInput.
    """
    if bool(content) == bool(incident_id):
        raise InvalidInput("give either content or incident_id: what is to be attached")
    data, media_type = content.encode("utf-8", "replace"), "text/plain"
    if incident_id:
        from selfheal.respond import report  # read only when a report is asked for

        own_name, data, media_type = report.attachment(ctx, incident_id)
        name = name.strip() or own_name
    if len(data) > _MOST_BYTES:
        raise InvalidInput("%d bytes are too many: attach at most %d" % (len(data), _MOST_BYTES))
    return wishes.file_payload(words("name", name), data, media_type)


def send(
    ctx: Context, section: str, target: str, payload: Mapping[str, Any], about: str
) -> Dict[str, Any]:
    """What writing.write_now returns. What is `about` the same ticket goes in the order of its
    wishes.
    """
    from selfheal.respond.writing import write_now

    channel = "%s:%s" % (section, target)
    return write_now(
        ctx,
        channel=channel,
        kind="%s_%s" % (section, payload["op"]),
        payload=payload,
        queue="%s:%s" % (channel, about) if about else "",
    )
