"""The fields of requests, in both spellings that Google's JSON parser takes.

A message is read as `camelCase`, however it was spelled; maps that a user names (arguments of
calls, properties of schemas, labels) stay as they are. A field that a message does not have is an
error. Source of the names: https://ai.google.dev/api/generate-content and the official SDK.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

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


def message_of(names: str, **inner: Message) -> Message:
    """Return a message with fields of these names (in camelCase), and those that are messages."""
    found: Message = {}
    for name in (*names.split(), *inner):
        entry = (name, inner.get(name))
        found[name] = found[snake(name)] = entry
    return found


def _schema() -> Message:
    found = message_of(
        "type format title description nullable enum maxItems minItems required propertyOrdering "
        "minProperties maxProperties minLength maxLength pattern example default minimum maximum "
        "additionalProperties ref defs properties"
    )
    for name in ("items", "anyOf"):
        found[name] = found[snake(name)] = (name, found)
    return found


_BLOB = message_of("mimeType data displayName")
_FILE = message_of("mimeType fileUri displayName")
_PART = message_of(
    "text thought thoughtSignature executableCode codeExecutionResult mediaResolution "
    "partMetadata toolCall toolResponse audioTranscription mediaProcessing speechMetadata "
    "documentMetadata spreadsheetMetadata audioMetadata",
    inlineData=_BLOB,
    fileData=_FILE,
    functionCall=message_of("id name args partialArgs willContinue"),
    functionResponse=message_of("id name response parts scheduling willContinue"),
    videoMetadata=message_of("startOffset endOffset fps contentLayers"),
)
CONTENT = message_of("role", parts=_PART)
SCHEMA = _schema()
_FUNCTION = message_of(
    "name description parametersJsonSchema responseJsonSchema behavior",
    parameters=SCHEMA,
    response=SCHEMA,
)
_TOOL = message_of(
    "googleSearch googleSearchRetrieval codeExecution urlContext googleMaps fileSearch computerUse "
    "retrieval enterpriseWebSearch mcpServers parallelAiSearch exaAiSearch",
    functionDeclarations=_FUNCTION,
)
_TOOL_CONFIG = message_of(
    "retrievalConfig includeServerSideToolInvocations",
    functionCallingConfig=message_of("mode allowedFunctionNames streamFunctionCallArguments"),
)
_GENERATION_CONFIG = message_of(
    "stopSequences responseMimeType responseJsonSchema responseModalities candidateCount "
    "maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs "
    "logprobs enableEnhancedCivicAnswers speechConfig imageConfig mediaResolution audioTimestamp "
    "enableAffectiveDialog modelSelectionConfig routingConfig responseFormat translationConfig "
    "audioTranscriptionConfig modelConfig",
    responseSchema=SCHEMA,
    thinkingConfig=message_of("includeThoughts thinkingBudget thinkingLevel"),
)
GENERATE = message_of(
    "model cachedContent labels serviceTier store continuationToken modelArmorConfig",
    contents=CONTENT,
    systemInstruction=CONTENT,
    tools=_TOOL,
    toolConfig=_TOOL_CONFIG,
    safetySettings=message_of("category threshold method"),
    generationConfig=_GENERATION_CONFIG,
)
"""The request of `generateContent`."""

_EMBED_CONFIG = message_of(
    "taskType title outputDimensionality autoTruncate documentOcr audioTrackExtraction mimeType"
)
EMBED = message_of(
    "model taskType title outputDimensionality", content=CONTENT, embedContentConfig=_EMBED_CONFIG
)
"""The request of `embedContent`."""

EMBED_MANY = message_of("model", requests=EMBED)
COUNT = message_of(
    "model systemInstruction tools", contents=CONTENT, generateContentRequest=GENERATE
)

_GENERATE_ITEM = message_of("metadata", request=GENERATE)
_EMBED_ITEM = message_of("metadata", request=EMBED)
_WEBHOOK = message_of("uris userMetadata")


def _batch(item: Message) -> Message:
    source = message_of("fileName", requests=message_of("", requests=item))
    batch = message_of(
        "name model displayName priority", inputConfig=source, webhookConfig=_WEBHOOK
    )
    return message_of("", batch=batch)


GENERATE_BATCH = _batch(_GENERATE_ITEM)
EMBED_BATCH = _batch(_EMBED_ITEM)
CREATE_FILE = message_of(
    "",
    file=message_of("name displayName mimeType sizeBytes source uri videoMetadata"),
)


class MessageReader:
    """Reads many messages of one kind.

    Almost all of them are spelled as they should be, which compiled code can tell: only the others
    are looked at field by field.
    """

    def __init__(self, message: Message) -> None:
        self._message = message
        self._plain = msgspec.json.Decoder(_struct_of(message))

    def read(self, data: bytes, value: JsonObject) -> JsonObject:
        """Return a value that was decoded from this JSON, with all its fields in camelCase.

        Raises:
            UnknownField: A field is not one of the message's.
        """
        try:
            self._plain.decode(data)
        except msgspec.ValidationError:
            return canonical_object(value, self._message)
        return value


def _struct_of(message: Message, outer: tuple[int, ...] = ()) -> type[msgspec.Struct]:
    """Return a type of objects that have no other fields than the message, in camelCase."""
    fields: list[tuple[str, object, object]] = []
    for name, inner in dict(message.values()).items():
        kind: object = msgspec.Raw
        # A message within itself has no end: its fields are looked at one by one.
        if inner is not None and id(inner) not in (*outer, id(message)):
            struct = _struct_of(inner, (*outer, id(message)))
            kind = struct | list[struct] | None  # type: ignore[valid-type]
        elif inner is not None:
            kind = None
        fields.append((name, kind, None))
    return msgspec.defstruct("Message", fields, forbid_unknown_fields=True)


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
