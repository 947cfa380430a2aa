"""Scripts for the load generator, in the language that is described at the top of load.c."""

BODY_BYTES = 256

# Two characters shorter than BODY_BYTES: with its two quotes, the JSON string has the promised size.
PAYLOAD = ("abcdefghijklmnopqrstuvwxyz0123456789" * 8)[: BODY_BYTES - 2]

NOOP = """
post 201
    POST /messages
    body {"body":"$payload"}
"""

SEND = """
send 201
    POST /v1/queues/$queue/messages
    body {"body":"$payload"}
"""

PUBLISH = """
publish 201
    POST /v1/topics/$topic/messages
    body {"headers":{"color":"red"},"body":"$payload"}
"""

SEND_ONCE = SEND.replace('{"body"', '{"deduplication_id":"$n","body"')

RECEIVE_AND_DELETE = """
receive 200
    POST /v1/queues/$queue/messages/receive
    body {"max_messages":1}
    take receipt "receipt":"
delete 204
    DELETE /v1/receipts/$receipt
"""

CYCLE = SEND + RECEIVE_AND_DELETE

# Every cycle chooses one of many groups, and waits as a consumer would, because others may hold all groups.
GROUPED_CYCLE = CYCLE.replace('"body"', '"group":"$random","body"').replace(
    '"max_messages":1', '"max_messages":1,"wait":5'
)

# Every cycle chooses one of many queues, and stays with it.
SPREAD_CYCLE = CYCLE.replace("$queue", "many-$random")

CREATE_MANY = """
create 201
    PUT /v1/queues/many-$n
    body {}
"""


BROWSE = """
list 200
    GET /v1/queues/$queue/messages?limit=100
"""

OVERVIEW = """
overview 200
    GET /v1/overview
"""


def batch_send(size: int, fields: str = "") -> str:
    """Return a script that sends `size` messages in one request."""
    messages = ",".join([f'{{{fields}"body":"$payload"}}'] * size)
    return f"""
send 201
    POST /v1/queues/$queue/messages/batch
    body {{"messages":[{messages}]}}
"""


def batch_cycle(size: int) -> str:
    """Return a script that sends, receives and deletes, with `size` messages in each request."""
    receive_and_settle = """
receive 200
    POST /v1/queues/$queue/messages/receive
    body {"max_messages":SIZE}
    take receipt "receipt":"
settle 200
    POST /v1/receipts/batch
    body {"items":[$[{"receipt":"$receipt","action":"delete"}$]]}
    take settled "status":"ok
"""
    return batch_send(size) + receive_and_settle.replace("SIZE", str(size))


SQS_SEND = """
send 200
    POST /
    header X-Amz-Target: AmazonSQS.SendMessage
    body {"QueueUrl":"$queue_url","MessageBody":"$payload"}
"""

SQS_CYCLE = (
    SQS_SEND
    + """
receive 200
    POST /
    header X-Amz-Target: AmazonSQS.ReceiveMessage
    body {"QueueUrl":"$queue_url","MaxNumberOfMessages":1}
    take receipt "ReceiptHandle": "
delete 200
    POST /
    header X-Amz-Target: AmazonSQS.DeleteMessage
    body {"QueueUrl":"$queue_url","ReceiptHandle":"$receipt"}
"""
)
