"""The fields of requests, in both spellings that Google's JSON parser takes.

A message is read as `camelCase`, however it was spelled; maps that a user names (arguments of
calls, properties of schemas, labels) stay as they are. A field that a message does not have is an
error. Source of the names: https://ai.google.dev/api/generate-content and the official SDK.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from ai_batch.emulator.json_types import JsonObject, JsonValue, as_object

Message: TypeAlias = "dict[str, tuple[str, Message | None]]"
"""Each accepted spelling of a field, with its name and the message that is in it, if one is."""

_HUMP = re.compile(r"[A-Z]")


class UnknownField(ValueError):
    """A message has no such field; `path` leads to the message, in snake_case."""

    def __init__(self, name: str, path: tuple[str, ...] = ()) -> None:
        super().__init__(f"no such field: '{name}'")
        self.name = name
        self.path = path


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return _HUMP.sub(lambda match: f"_{match[0].lower()}", name)


def _message(names: str, **inner: Message) -> Message:
    found: Message = {}
    for name in (*names.split(), *inner):
        entry = (name, inner.get(name))
        found[name] = found[snake(name)] = entry
    return found


def _schema() -> Message:
    found = _message(
        "type format title description nullable enum maxItems minItems required propertyOrdering "
        "minProperties maxProperties minLength maxLength pattern example default minimum maximum "
        "additionalProperties ref defs properties"
    )
    for name in ("items", "anyOf"):
        found[name] = found[snake(name)] = (name, found)
    return found


_BLOB = _message("mimeType data displayName")
_FILE = _message("mimeType fileUri displayName")
_PART = _message(
    "text thought thoughtSignature executableCode codeExecutionResult mediaResolution "
    "partMetadata toolCall toolResponse audioTranscription mediaProcessing speechMetadata "
    "documentMetadata spreadsheetMetadata audioMetadata",
    inlineData=_BLOB,
    fileData=_FILE,
    functionCall=_message("id name args partialArgs willContinue"),
    functionResponse=_message("id name response parts scheduling willContinue"),
    videoMetadata=_message("startOffset endOffset fps contentLayers"),
)
CONTENT = _message("role", parts=_PART)
SCHEMA = _schema()
_FUNCTION = _message(
    "name description parametersJsonSchema responseJsonSchema behavior",
    parameters=SCHEMA,
    response=SCHEMA,
)
_TOOL = _message(
    "googleSearch googleSearchRetrieval codeExecution urlContext googleMaps fileSearch computerUse "
    "retrieval enterpriseWebSearch mcpServers parallelAiSearch exaAiSearch",
    functionDeclarations=_FUNCTION,
)
_TOOL_CONFIG = _message(
    "retrievalConfig includeServerSideToolInvocations",
    functionCallingConfig=_message("mode allowedFunctionNames streamFunctionCallArguments"),
)
_GENERATION_CONFIG = _message(
    "stopSequences responseMimeType responseJsonSchema responseModalities candidateCount "
    "maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs "
    "logprobs enableEnhancedCivicAnswers speechConfig imageConfig mediaResolution audioTimestamp "
    "enableAffectiveDialog modelSelectionConfig routingConfig responseFormat translationConfig "
    "audioTranscriptionConfig modelConfig",
    responseSchema=SCHEMA,
    thinkingConfig=_message("includeThoughts thinkingBudget thinkingLevel"),
)
GENERATE = _message(
    "model cachedContent labels serviceTier store continuationToken modelArmorConfig",
    contents=CONTENT,
    systemInstruction=CONTENT,
    tools=_TOOL,
    toolConfig=_TOOL_CONFIG,
    safetySettings=_message("category threshold method"),
    generationConfig=_GENERATION_CONFIG,
)
"""The request of `generateContent`."""

_EMBED_CONFIG = _message(
    "taskType title outputDimensionality autoTruncate documentOcr audioTrackExtraction mimeType"
)
EMBED = _message(
    "model taskType title outputDimensionality", content=CONTENT, embedContentConfig=_EMBED_CONFIG
)
"""The request of `embedContent`."""

EMBED_MANY = _message("model", requests=EMBED)
COUNT = _message("model systemInstruction tools", contents=CONTENT, generateContentRequest=GENERATE)

_GENERATE_ITEM = _message("metadata", request=GENERATE)
_EMBED_ITEM = _message("metadata", request=EMBED)
_WEBHOOK = _message("uris userMetadata")


def _batch(item: Message) -> Message:
    source = _message("fileName", requests=_message("", requests=item))
    batch = _message("name model displayName priority", inputConfig=source, webhookConfig=_WEBHOOK)
    return _message("", batch=batch)


GENERATE_BATCH = _batch(_GENERATE_ITEM)
EMBED_BATCH = _batch(_EMBED_ITEM)
CREATE_FILE = _message(
    "",
    file=_message("name displayName mimeType sizeBytes source uri videoMetadata"),
)


def canonical_object(value: JsonObject, message: Message) -> JsonObject:
    """Return a message with all its fields in camelCase.

    Raises:
        UnknownField: A field is not one of the message's.
    """
    try:
        return _renamed(value, message)
    except KeyError:
        raise _unknown_in(value, message) or UnknownField("") from None


def _renamed(value: JsonObject, message: Message) -> JsonObject:
    """Do the work for every row of every batch: so nothing is called that can be avoided."""
    found: JsonObject = {}
    for spelled, content in value.items():
        name, inner = message[spelled]
        if inner is not None:
            if isinstance(content, dict):
                content = _renamed(content, inner)  # noqa: PLW2901
            elif isinstance(content, list):
                content = [  # noqa: PLW2901
                    _renamed(item, inner) if isinstance(item, dict) else item for item in content
                ]
        found[name] = content
    return found


def _unknown_in(
    value: JsonValue, message: Message | None, path: tuple[str, ...] = ()
) -> UnknownField | None:
    """Look for the field that is not there."""
    if message is None:
        return None
    if isinstance(value, list):
        within = (_unknown_in(item, message, path) for item in value)
        return next((found for found in within if found is not None), None)
    for spelled, content in as_object(value).items():
        if spelled not in message:
            return UnknownField(spelled, path)
        name, inner = message[spelled]
        found = _unknown_in(content, inner, (*path, snake(name)))
        if found is not None:
            return found
    return None
