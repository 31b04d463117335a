"""A chat server that knows one answer, so that it is never what is measured.

Prints its address, and serves until its input ends.
"""

import argparse
import asyncio
import json
import sys

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "The quick brown fox. " * 40},
        }
    ],
    "usage": {"prompt_tokens": 300, "completion_tokens": 200, "total_tokens": 500},
}


def response() -> bytes:
    """The whole answer as it goes over the wire."""
    body = json.dumps(ANSWER).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
    return head.format(len(body)).encode() + body


class Chat(asyncio.Protocol):
    """One connection, which is kept open."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.buffer = b""
        self.response = response()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """A request, or a part of one."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            start = head.index(b"content-length:") + 15
            size = int(head[start:].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + size:
                return
            self.buffer = self.buffer[end + 4 + size :]
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, self.answer)
            else:
                self.answer()

    def answer(self) -> None:
        """The one answer there is."""
        self.transport.write(self.response)  # type: ignore[attr-defined]


async def serve(latency: float) -> None:
    """Until nobody wants it any more."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Chat(latency), "127.0.0.1", 0, backlog=2048)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}/v1\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer")
    asyncio.run(serve(parser.parse_args().latency))
