//! `coffer check --probe`: what the settings alone can't tell, asked of Redis and of the bucket.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use url::Url;

use crate::config::{Clock, Config, Endpoint, Report, StoreConfig};
use crate::state::Redis;
use crate::store::Abilities;
use crate::store::embedded::{Embedded, serve_store};
use crate::store::probe::{Probe, probe};

/// Asks both. The abilities are there when the bucket could be asked.
pub(super) fn ask(config: &Config) -> (Option<Abilities>, Report) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return (None, failed("--probe", &error)),
    };
    runtime.block_on(async {
        let mut report = ask_redis(config).await;
        let (abilities, mut of_bucket) = ask_bucket(config).await;
        report.findings.append(&mut of_bucket.findings);
        (abilities, report)
    })
}

async fn ask_redis(config: &Config) -> Report {
    let mut report = Report::default();
    let answered = match Redis::new(&config.redis) {
        Ok(redis) => redis.ping().await,
        Err(error) => Err(error),
    };
    if answered.is_err() {
        let hint = "look whether it runs, whether host, port or socket are right, and the password";
        report.error("REDIS_URL", "reaches no Redis that answers", hint);
    }
    report
}

async fn ask_bucket(config: &Config) -> (Option<Abilities>, Report) {
    let Endpoint::Embedded(path) = &config.store.endpoint else {
        return judged(probe(&config.store, None, &config.http.public_url, &Clock::system()).await);
    };
    let keys = (&config.store.access_key_id, &config.store.secret_access_key);
    match Embedded::open(path, keys.0, keys.1, &config.store.bucket) {
        Ok(embedded) => match ask_embedded(&config.store, &embedded, &config.http.public_url).await {
            Ok(probe) => judged(probe),
            Err(error) => (None, failed("S3_ENDPOINT", &error)),
        },
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut report = Report::default();
            let hint = "ask the running vault's /health/ready, or stop it first";
            report.warning("S3_ENDPOINT", "names a folder that a running vault has open, so it was not asked", hint);
            (None, report)
        }
        Err(error) => (None, failed("S3_ENDPOINT", &error)),
    }
}

/// Serves the folder to ourselves for as long as the questions take.
async fn ask_embedded(config: &StoreConfig, embedded: &Embedded, app: &Url) -> io::Result<Probe> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let own = Url::parse(&format!("http://{}", listener.local_addr()?)).map_err(io::Error::other)?;
    let (done, finished) = oneshot::channel::<()>();
    let serving = serve_store(listener, embedded, Vec::new(), async {
        let _ = finished.await;
    });
    let clock = Clock::system();
    let asking = async {
        let found = probe(config, Some(&own), app, &clock).await;
        let _ = done.send(());
        found
    };
    let (served, found) = tokio::join!(serving, asking);
    served.map(|()| found)
}

fn judged(probe: Probe) -> (Option<Abilities>, Report) {
    ((!probe.is_away).then_some(probe.abilities), probe.report)
}

fn failed(variable: &str, error: &io::Error) -> Report {
    let mut report = Report::default();
    report.error(variable, format!("could not be tried ({})", error.kind()), "run it as the user that serves");
    report
}
