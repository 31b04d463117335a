"""What the users of OpenAI's endpoints say, by which tests know a request again."""

from __future__ import annotations

from ai_batch.emulator.json_types import JsonObject, as_text
from ai_batch.emulator.openai.embeddings import embedded_texts
from ai_batch.emulator.texts import last_user_text


def prompts_of(endpoint: str, body: JsonObject) -> list[str]:
    """Return the last user text, or each text that is to be embedded."""
    match endpoint:
        case "/v1/chat/completions":
            return [last_user_text(body.get("messages"))]
        case "/v1/responses":
            said = body.get("input")
            return [said if isinstance(said, str) else last_user_text(said)]
        case "/v1/embeddings":
            return embedded_texts(body.get("input"))
        case _:
            return [as_text(body.get("prompt", body.get("input")))]
