//! What handlers share: the database, the clock, the rules, and the one hop in which a request does its work.

use crate::{
    actions::{Failure, Means, Run},
    clock::Clock,
    domain::time::Timestamp,
    metrics::Metrics,
    password::Hasher,
    picture::Studio,
    store::{Conn, Db, outbox::Board},
};
use ipnet::IpNet;
use std::sync::Arc;
use tokio::sync::Notify;

/// Made once at start, shared by every handler.
#[derive(Clone)]
pub struct App {
    /// The database.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Randomness, links, rules.
    pub means: Arc<Means>,
    /// Hashes passwords, a few at a time.
    pub hasher: Hasher,
    /// Draws the pictures of people, a few at a time.
    pub studio: Studio,
    /// Wakes the mail worker.
    pub wake: Arc<Notify>,
    /// Whether letters wait, as the mail workers last saw it.
    pub board: Board,
    /// Where Roster stands on the network.
    pub site: Arc<Site>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Where Roster stands on the network.
#[derive(Clone, Debug)]
pub struct Site {
    /// `PUBLIC_URL`, without a slash at the end: the start of every link.
    pub public_url: String,
    /// Cookies are `Secure` and named `__Host-…`: with https, and on the loopback address.
    pub secure_cookies: bool,
    /// Browsers are told to come back by https only.
    pub https: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Makes form tokens.
    pub form_key: [u8; 32],
}

impl App {
    /// The moment of this request.
    pub fn now(&self) -> Timestamp {
        self.clock.now().into()
    }

    /// Reads, off the async threads.
    ///
    /// # Errors
    /// What `work` answers, or [`Failure::Unavailable`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Conn) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.db.read(work).await
    }

    /// Runs one action in one transaction, and wakes the mail worker if it queued a letter. `work` may run again after
    /// a collision with another transaction.
    ///
    /// # Errors
    /// What `work` answers, or [`Failure::Unavailable`].
    pub async fn act<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Run<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let (now, means) = (self.now(), Arc::clone(&self.means));
        let (done, queued) = self
            .db
            .write(move |conn| {
                let mut run = Run::new(conn, now, &means);
                let done = work(&mut run)?;
                Ok::<_, Failure>((done, run.queued))
            })
            .await?;
        if queued {
            self.wake.notify_one();
        }
        Ok(done)
    }
}
