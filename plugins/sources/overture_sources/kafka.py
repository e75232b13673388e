"""The messages of Kafka topics as facts: at least once, under ids that follow from partition and offset.

The place is kept with the facts, not with the broker: no consumer group, nothing is committed there. Overture runs a
source in one process of all, which therefore reads all partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from ssl import SSLContext, create_default_context
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import msgspec
from pydantic import Field, SecretStr, model_validator

from overture.plugin import Emit, NoFact, PullSourcePlugin, Secret, hookimpl
from overture_sources.records import RecordConfig, Unreadable, added, fact_of, shown, whole

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

WAIT = 1.0  # seconds that the brokers are asked to wait for a message
BATCH = 500  # messages
KEY = "$key"  # the key of a message, among the fields of its value

Places = dict[str, dict[str, int]]
"""By topic and partition the offset of the next message."""


class KafkaConfig(RecordConfig):
    """``brokers``: ``host:port``. ``value``: whether a message is a whole fact, or its fields are, as `RecordConfig`
    says; ``begin``: where a partition is read from at first. ``ca_file``: who vouches for the brokers, with TLS.
    """

    brokers: tuple[str, ...] = Field(min_length=1)
    topics: tuple[str, ...] = Field(min_length=1)
    value: Literal["fact", "fields"] = "fact"
    begin: Literal["first", "last"] = "first"
    tls: bool = False
    ca_file: str = ""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str = ""
    password: Secret = SecretStr("")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.value == "fields":
            self.told()
            if bool(self.type) == bool(self.type_field):
                raise ValueError("one of type and type_field says what a message is")
        elif self.type or self.type_field or any(self.contact.places()):
            raise ValueError('where fields are named, value = "fields"')
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password are given together")
        return self


class Kafka:
    """An open source for some topics of one cluster."""

    def __init__(self, config: KafkaConfig) -> None:
        try:
            import aiokafka  # noqa: F401  # told at the start, not at the first message
        except ImportError:
            raise RuntimeError("The source kafka needs aiokafka: pip install 'overture[kafka]'") from None
        self._config = config

    async def run(self, emit: Emit) -> None:
        from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

        consumer = self._consumer()
        places = _read(emit.place)
        ready: set[TopicPartition] = set()
        try:
            await consumer.start()
            while True:
                if found_anew := consumer.assignment() - ready:
                    await self._begin(emit, consumer, places, found_anew)
                    ready |= found_anew
                try:
                    found = await consumer.getmany(timeout_ms=int(WAIT * 1000), max_records=BATCH)
                except NoOffsetForPartitionError:  # partitions have come, which assigns all of them anew
                    ready.clear()
                except OffsetOutOfRangeError as error:
                    for part, offset in cast("Mapping[TopicPartition, int]", error.args[0]).items():
                        places[part.topic][str(part.partition)] = await self._missed(emit, consumer, part, offset)
                        ready.discard(part)
                else:
                    await self._emit(emit, places, [record for those in found.values() for record in those])
        except KafkaError as error:  # its text may quote what it was given to log in
            raise ConnectionError(f"The topics cannot be read: {type(error).__name__}.") from None
        finally:
            await consumer.stop()

    async def close(self) -> None: ...

    def _consumer(self) -> AIOKafkaConsumer:
        from aiokafka import AIOKafkaConsumer

        config = self._config
        protocol = ("SASL_" if config.username else "") + ("SSL" if config.tls else "PLAINTEXT")
        context: SSLContext | None = create_default_context(cafile=config.ca_file or None) if config.tls else None
        return AIOKafkaConsumer(
            *config.topics,
            bootstrap_servers=list(config.brokers),
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="none",
            metadata_max_age_ms=30_000,
            security_protocol=protocol,
            ssl_context=context,
            sasl_mechanism=config.mechanism,
            sasl_plain_username=config.username or None,
            sasl_plain_password=config.password.get_secret_value() or None,
        )

    async def _begin(
        self, emit: Emit, consumer: AIOKafkaConsumer, places: Places, parts: Iterable[TopicPartition]
    ) -> None:
        """Read these partitions on from their places. A topic without any begins as the settings say; a partition that
        has come to a topic since begins with its first message. Places are kept at once: what is put there while we
        are away, before a first message, is not passed over.
        """
        last = set() if self._config.begin == "first" else {part.topic for part in parts} - places.keys()
        new = [part for part in parts if str(part.partition) not in places.get(part.topic, {})]
        for part in new:
            ends = consumer.end_offsets if part.topic in last else consumer.beginning_offsets
            places.setdefault(part.topic, {})[str(part.partition)] = (await ends([part]))[part]
        if new:
            await emit([], _written(places))
        for part in parts:
            consumer.seek(part, places[part.topic][str(part.partition)])

    async def _missed(self, emit: Emit, consumer: AIOKafkaConsumer, part: TopicPartition, offset: int) -> int:
        """The first offset that there is: what was to be read next is gone, or the topic is another one."""
        first = (await consumer.beginning_offsets([part]))[part]
        what = {"topic": part.topic, "partition": part.partition, "offset": offset, "first": first}
        told = f"Offset {offset} of partition {part.partition} is not there; it is read from {first} on."
        await emit([], refused=[NoFact(what, "source.gap", told)])
        return first

    async def _emit(self, emit: Emit, places: Places, records: list[ConsumerRecord[Any, Any]]) -> None:
        facts: list[Mapping[str, Any]] = []
        refused: list[NoFact] = []
        for record in records:
            try:
                if record.value is not None:  # None says that a key is there no more
                    facts.append(self.fact(record))
            except Unreadable as why:
                where = {"topic": record.topic, "partition": str(record.partition), "offset": str(record.offset)}
                value = bytes(record.value or b"").decode("utf-8", "replace")
                refused.append(NoFact(shown({**where, "value": value}), "source.entry", str(why)))
            places[record.topic][str(record.partition)] = record.offset + 1
        if records:
            await emit(facts, _written(places), backfill=self._config.backfill, refused=refused)

    def fact(self, record: ConsumerRecord[Any, Any]) -> dict[str, Any]:
        """The fact in a message. Raises `Unreadable`."""
        made = whole(bytes(record.value), "The message")
        if self._config.value == "fields":
            key = bytes(record.key).decode("utf-8", "replace") if record.key is not None else ""
            made = fact_of(self._config, {KEY: key, **made})
        if "occurred_at" not in made and record.timestamp >= 0:
            made["occurred_at"] = added(record.timestamp)
        topic = sha256(record.topic.encode()).hexdigest()[:8]
        return {"id": f"kafka:{topic}:{record.partition}:{record.offset}", **made}


def _read(place: str) -> Places:
    return msgspec.json.decode(place, type=Places) if place else {}


def _written(places: Places) -> str:
    return msgspec.json.encode(places).decode()


@hookimpl
def overture_sources() -> Iterable[PullSourcePlugin[KafkaConfig]]:
    yield PullSourcePlugin(name="kafka", config=KafkaConfig, open=Kafka)
