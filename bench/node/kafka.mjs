// kafkajs without a broker: consumers and producers are its own, `run` keeps the handler and `send` acknowledges at once. What is
// wrapped around them is measured, the network is not.
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { KafkaJsInstrumentation } from "@opentelemetry/instrumentation-kafkajs";
import kafkajs from "kafkajs";

let offset = 0;
const acknowledge = async ({ topic, messages }) => {
  const baseOffset = String(offset);
  offset += messages.length;
  return [{ topicName: topic, partition: 0, errorCode: 0, baseOffset }];
};

const { consumer: makeConsumer, producer: makeProducer } = kafkajs.Kafka.prototype;
let kept;
kafkajs.Kafka.prototype.consumer = function consumer(...args) {
  return Object.assign(makeConsumer.apply(this, args), { run: async (config) => { kept = config; } });
};
kafkajs.Kafka.prototype.producer = function producer(...args) {
  return Object.assign(makeProducer.apply(this, args), { send: acknowledge });
};
const kafka = () => new kafkajs.Kafka({ brokers: ["127.0.0.1:9"], logLevel: kafkajs.logLevel.NOTHING });

/** Returns a producer, and what makes a handler the one that kafkajs would call. */
function client() {
  const [consumer, producer] = [kafka().consumer({ groupId: "bench" }), kafka().producer()];
  const installed = async (config) => {
    await consumer.run(config);
    return kept;
  };
  return { producer, installed };
}

export const plain = client();
// Wraps `Kafka.prototype`: the clients made before stay as they are.
const instrumentation = new KafkaJsInstrumentation();
registerInstrumentations({ instrumentations: [instrumentation] });
for (const definition of instrumentation.getModuleDefinitions()) definition.patch(kafkajs);
export const instrumented = client();

const hex = (length, n) => n.toString(16).padStart(length, "0");

/** A message as kafkajs hands it over: every value a Buffer of its own. */
export function message(n) {
  const traceId = `0198f3a1c0de7abc8ac0${hex(12, n + 1)}`;
  return {
    key: Buffer.from(`user-${n}`),
    value: Buffer.from('{"event":"page_view","user":"u-17"}'),
    timestamp: "1767225600000",
    attributes: 0,
    offset: String(n),
    headers: {
      "content-type": Buffer.from("application/json"),
      traceparent: Buffer.from(`00-${traceId}-${hex(16, n + 1)}-01`),
      trace_id: Buffer.from(traceId),
    },
  };
}
