//! A client of Kafka that is replaced when it reaches no broker for two minutes.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;

/// The time without an answer after which a client is replaced. librdkafka 2.12 was seen to make no further attempt to
/// connect after a broker had been stopped twice, minutes after the broker was back.
pub const UNREACHED: Duration = Duration::from_mins(2);

/// A client of type `C`, and how another one is made.
pub struct Replaced<C> {
    make: Box<dyn Fn() -> Result<C, KafkaError> + Send + Sync>,
    current: Mutex<Current<C>>,
}

struct Current<C> {
    client: Arc<C>,
    unreached_since: Option<Instant>,
}

impl<C: Send + Sync + 'static> Replaced<C> {
    /// Makes the first client of `config`; each client gets a copy of `context`. It connects when it is used. Fails only
    /// for settings that librdkafka refuses.
    pub fn new<X>(config: &ClientConfig, context: X) -> Result<Self, KafkaError>
    where
        C: FromClientConfigAndContext<X>,
        X: ClientContext + Clone + 'static,
    {
        let config = config.clone();
        Self::made_by(move || config.create_with_context(context.clone()))
    }

    fn made_by(make: impl Fn() -> Result<C, KafkaError> + Send + Sync + 'static) -> Result<Self, KafkaError> {
        let current = Current { client: Arc::new(make()?), unreached_since: None };
        Ok(Self { make: Box::new(make), current: Mutex::new(current) })
    }

    /// Returns the current client.
    #[must_use]
    pub fn get(&self) -> Arc<C> {
        Arc::clone(&self.current.lock().client)
    }

    /// Notes whether a broker answered a call. Replaces the client if none has answered for [`UNREACHED`].
    pub fn note(&self, answered: bool) {
        self.note_at(answered, Instant::now());
    }

    fn note_at(&self, answered: bool, now: Instant) {
        let mut current = self.current.lock();
        if answered {
            current.unreached_since = None;
            return;
        }
        let since = *current.unreached_since.get_or_insert(now);
        let client = Arc::clone(&current.client);
        drop(current);
        if now.duration_since(since) >= UNREACHED {
            tracing::warn!("no broker answered for {} s: making another Kafka client", UNREACHED.as_secs());
            self.replace(&client);
        }
    }

    /// Replaces a client that cannot be used any more, unless it was replaced already.
    pub fn replace(&self, broken: &Arc<C>) {
        let mut current = self.current.lock();
        if !Arc::ptr_eq(&current.client, broken) {
            return;
        }
        match (self.make)() {
            Ok(client) => {
                let new = Current { client: Arc::new(client), unreached_since: None };
                let old = std::mem::replace(&mut *current, new);
                // The destructor waits for the threads of librdkafka.
                thread::spawn(move || drop(old));
            }
            Err(error) => tracing::error!(%error, "failed to make another Kafka client"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn numbered() -> Replaced<u32> {
        let next = AtomicU32::new(0);
        Replaced::made_by(move || Ok(next.fetch_add(1, Ordering::Relaxed))).unwrap()
    }

    #[test]
    fn a_client_that_reaches_no_broker_for_two_minutes_is_replaced_and_the_next_one_has_two_minutes() {
        let (clients, start) = (numbered(), Instant::now());
        clients.note_at(false, start);
        clients.note_at(false, start + UNREACHED / 2);
        assert_eq!(*clients.get(), 0);
        clients.note_at(false, start + UNREACHED);
        assert_eq!(*clients.get(), 1);
        clients.note_at(false, start + UNREACHED + Duration::from_secs(1));
        assert_eq!(*clients.get(), 1);
    }

    #[test]
    fn a_client_that_two_callers_report_as_broken_is_replaced_once() {
        let clients = numbered();
        let (one, other) = (clients.get(), clients.get());
        clients.replace(&one);
        clients.replace(&other);
        assert_eq!(*clients.get(), 1);
    }

    #[test]
    fn an_answer_resets_the_time() {
        let (clients, start) = (numbered(), Instant::now());
        clients.note_at(false, start);
        clients.note_at(true, start + UNREACHED / 2);
        clients.note_at(false, start + UNREACHED);
        assert_eq!(*clients.get(), 0);
    }
}
