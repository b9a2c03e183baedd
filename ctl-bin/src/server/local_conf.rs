//! `local.conf` in the home, which tools and containers write for the original: read again when it changes.

use std::sync::Arc;
use std::time::Duration;

use ctl_http::LocalConf;
use ctl_http::local_conf::MAX_LOCAL_CONF;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use super::home::Home;

/// The original looks about every ten seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Reads the file as it is at the start; one that cannot be read counts as none.
pub(super) fn read(home: &Home) -> LocalConf {
    let conf = load(home).unwrap_or_else(|reason| {
        warn!(%reason, "local.conf is not used");
        LocalConf::default()
    });
    for network in conf.trusted_paths() {
        warn!(
            network,
            "trustedPathId of local.conf is not used: what clients send over a trusted path is dropped"
        );
    }
    conf
}

/// Tells of every change. A file that cannot be read leaves in force what was, and so does one that is gone or empty: it may
/// be being written, and what it forbade is not to be allowed meanwhile.
pub(super) async fn follow(home: Arc<Home>, conf: watch::Sender<Arc<LocalConf>>) {
    let mut last_reason = String::new();
    loop {
        sleep(INTERVAL).await;
        let home = Arc::clone(&home);
        let Ok(read) = spawn_blocking(move || find(&home)).await else { continue };
        let is_nothing_new = **conf.borrow() == LocalConf::default();
        match read.and_then(|read| read.map_or_else(|| absent(is_nothing_new), Ok)) {
            Ok(read) => {
                last_reason.clear();
                let changed = **conf.borrow() != read;
                if changed {
                    conf.send_replace(Arc::new(read));
                    info!("local.conf was read again");
                }
            }
            Err(reason) if reason != last_reason => {
                warn!(%reason, "local.conf is not used; what it said before stays in force");
                last_reason = reason;
            }
            Err(_) => {}
        }
    }
}

fn absent(is_nothing_new: bool) -> Result<LocalConf, String> {
    if is_nothing_new {
        return Ok(LocalConf::default());
    }
    Err("it is gone or empty; write {} into it to have nothing in force, or start again".to_owned())
}

/// Reads the file; what is not there or empty says nothing.
pub(super) fn load(home: &Home) -> Result<LocalConf, String> {
    find(home).map(Option::unwrap_or_default)
}

/// Reads the file; `None` if it is not there or empty.
fn find(home: &Home) -> Result<Option<LocalConf>, String> {
    let text = home.local_conf(MAX_LOCAL_CONF).map_err(|error| error.to_string())?;
    let text = text.filter(|text| !text.trim_ascii().is_empty());
    text.map(|text| LocalConf::parse(&text)).transpose().map_err(|error| error.to_string())
}
