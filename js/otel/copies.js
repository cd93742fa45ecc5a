// Copies of spans and log records for exporters: the program may still hold the SDK's own, and another
// exporter gets them too. A copy has all of the SDK's public face, and fields of its own: an object
// whose prototype is the SDK's would be read ten times as slowly.

/** A ReadableSpan like another one, but for its times and attributes. */
export class SpanCopy {
    #span;

    constructor(span, { startTime, endTime, duration, events, attributes }) {
        this.#span = span;
        this.name = span.name;
        this.kind = span.kind;
        this.parentSpanContext = span.parentSpanContext;
        this.startTime = startTime;
        this.endTime = endTime;
        this.status = span.status;
        this.attributes = attributes;
        this.links = span.links;
        this.events = events;
        this.duration = duration;
        this.ended = span.ended;
        this.resource = span.resource;
        this.instrumentationScope = span.instrumentationScope;
        this.droppedAttributesCount = span.droppedAttributesCount;
        this.droppedEventsCount = span.droppedEventsCount;
        this.droppedLinksCount = span.droppedLinksCount;
    }

    spanContext() {
        return this.#span.spanContext();
    }
}

/** A ReadableLogRecord like another one, but for its times and attributes. */
export class LogCopy {
    constructor(record, { hrTime, hrTimeObserved, attributes }) {
        this.hrTime = hrTime;
        this.hrTimeObserved = hrTimeObserved;
        this.spanContext = record.spanContext;
        this.severityText = record.severityText;
        this.severityNumber = record.severityNumber;
        this.body = record.body;
        this.eventName = record.eventName;
        this.resource = record.resource;
        this.instrumentationScope = record.instrumentationScope;
        this.attributes = attributes;
        this.droppedAttributesCount = record.droppedAttributesCount;
    }
}

/** A Resource with more attributes; the rest goes to the SDK's own. */
export function withAttributes(resource, attributes) {
    return Object.create(resource, { attributes: { value: attributes, enumerable: true } });
}
