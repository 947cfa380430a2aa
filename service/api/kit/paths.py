"""Path parameters, and the descriptions of their 404 responses.

Some parameters share their place in a path with fixed words: `…/messages/batch` never refers to a message `batch`.
Without the converters, a request for `…/messages/batch` with a wrong method would match the path of a message.
"""

from typing import Annotated

from fastapi import Path
from starlette.convertors import StringConvertor, register_url_convertor

from service.model import NAME_PATTERN

QueueName = Annotated[str, Path(pattern=NAME_PATTERN, description="The queue's name.")]
MessageId = Annotated[str, Path(max_length=64, description="The message's id.")]
WebhookName = Annotated[str, Path(pattern=NAME_PATTERN, description="The webhook's name.")]
TopicName = Annotated[str, Path(pattern=NAME_PATTERN, description="The topic's name.")]
SubscriptionName = Annotated[str, Path(pattern=NAME_PATTERN, description="The subscription's name.")]
ProjectName = Annotated[str, Path(pattern=NAME_PATTERN, description="The project's name.")]

NO_QUEUE = {404: "There is no such queue in this project: queue_not_found."}
NO_WEBHOOK = {404: "There is no such queue, or the queue has no such webhook: queue_not_found, webhook_not_found."}
NO_TOPIC = {404: "There is no such topic in this project: topic_not_found."}
NO_SUBSCRIPTION = {
    404: "There is no such topic, or the topic has no such subscription: topic_not_found, subscription_not_found."
}
NO_PROJECT = {404: "There is no such project: project_not_found."}


class _Message(StringConvertor):
    regex = "(?!(?:batch|receive|actions)(?:/|$))[^/]+"


class _Receipt(StringConvertor):
    regex = "(?!batch(?:/|$))[^/]+"


register_url_convertor("message", _Message())
register_url_convertor("receipt", _Receipt())

MESSAGE = "/v1/queues/{queue}/messages/{message_id:message}"


def routed(template: str) -> str:
    """Return a path template in which the receipt has its converter."""
    return template.replace("{receipt}", "{receipt:receipt}")
