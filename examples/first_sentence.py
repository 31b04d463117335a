"""What the emulated models of the demonstration answer: the first sentence of what they are shown.

The emulator calls ``answer`` with a request as the vendor gets it, and hands out what it returns as
the vendor's answer; None leaves the answer (here: embeddings) to the emulator.
"""

from typing import Any


def answer(endpoint: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a chat, in the words of the vendor that was asked."""
    if endpoint.endswith("/chat/completions"):
        return of_openai(body)
    if endpoint.endswith("/messages"):
        return of_anthropic(body)
    if endpoint.endswith(":generateContent"):
        return of_google(endpoint, body)
    return None


def first_sentence(text: str) -> tuple[str, int, int]:
    """The sentence, and about how many tokens were read and written."""
    # In front of it stand the prompt and the name of what it describes.
    docstring = text.split("\n\n")[2]
    sentence = " ".join(docstring.split()).split(". ")[0]
    return sentence, len(text) // 4, len(sentence) // 4


def text_of(content: Any) -> str:
    """The text of a message, which may be a string or a list of parts."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def of_openai(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion."""
    sentence, read, written = first_sentence(text_of(body["messages"][-1]["content"]))
    message = {"role": "assistant", "content": sentence, "refusal": None}
    return {
        "id": "chatcmpl-demo",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        },
    }


def of_anthropic(body: dict[str, Any]) -> dict[str, Any]:
    """A message."""
    sentence, read, written = first_sentence(text_of(body["messages"][-1]["content"]))
    return {
        "id": "msg_demo",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": sentence}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": read, "output_tokens": written},
    }


def of_google(endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    """A generated content."""
    sentence, read, written = first_sentence(text_of(body["contents"][-1]["parts"]))
    content = {"role": "model", "parts": [{"text": sentence}]}
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": read,
            "candidatesTokenCount": written,
            "totalTokenCount": read + written,
        },
        "modelVersion": endpoint.rpartition("/")[2].removesuffix(":generateContent"),
        "responseId": "demo",
    }
