//! The settings of the consumer.

use connect::kafka::FETCH_BACKOFF_MS;
use rdkafka::ClientConfig;

/// The most bytes of one fetch of one partition. A larger record is fetched alone.
const FETCH_BYTES: &str = "1048576";

/// Returns the settings of a consumer, in addition to those of the connection.
#[must_use]
pub fn consumer_config(mut config: ClientConfig, group: &str, prefetch_kib: u32) -> ClientConfig {
    let prefetch = prefetch_kib.to_string();
    let fetch = (u64::from(prefetch_kib) * 1024).clamp(1 << 20, 32 << 20).to_string();
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        // The worker determines what is stored. librdkafka commits it in the background, when partitions are revoked,
        // and at the end.
        .set("enable.auto.offset.store", "false")
        .set("enable.auto.commit", "true")
        .set("auto.commit.interval.ms", "500")
        .set("session.timeout.ms", "10000")
        .set("heartbeat.interval.ms", "500")
        // For an empty partition a fetch waits this long; the default is 500 ms.
        .set("fetch.wait.max.ms", "50")
        .set("fetch.queue.backoff.ms", FETCH_BACKOFF_MS)
        .set("queued.max.messages.kbytes", &prefetch)
        .set("fetch.message.max.bytes", FETCH_BYTES)
        .set("fetch.max.bytes", &fetch)
        // A record of the largest size is accepted, whatever the other settings are.
        .set("receive.message.max.bytes", (u64::from(crds::chunk::MAX_MESSAGE_BYTES) * 2).to_string())
        .set("statistics.interval.ms", "5000")
        // A topic that the operator makes later is found soon.
        .set("topic.metadata.refresh.interval.ms", "10000");
    config
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    #[test]
    fn librdkafka_accepts_every_setting() {
        for prefetch_kib in [1024, 8192, 1_048_576] {
            let config = consumer_config(ClientConfig::new(), "g", prefetch_kib);
            assert!(config.create::<BaseConsumer>().is_ok(), "{prefetch_kib}");
        }
    }
}
