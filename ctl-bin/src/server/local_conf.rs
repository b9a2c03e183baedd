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

/// Tells of every change. A file that cannot be read leaves in force what was.
pub(super) async fn follow(home: Arc<Home>, conf: watch::Sender<Arc<LocalConf>>) {
    let mut last_reason = String::new();
    loop {
        sleep(INTERVAL).await;
        let home = Arc::clone(&home);
        let Ok(read) = spawn_blocking(move || load(&home)).await else { continue };
        match read {
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

/// Reads the file, if there is one.
pub(super) fn load(home: &Home) -> Result<LocalConf, String> {
    let text = home.local_conf(MAX_LOCAL_CONF).map_err(|error| error.to_string())?;
    LocalConf::parse(&text.unwrap_or_default()).map_err(|error| error.to_string())
}
