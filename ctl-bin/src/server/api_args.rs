//! Where the API listens, and who may reach it there (`docs/security.md`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use clap::{ArgAction, Args};
use ctl_http::Origin;
use zt_proto::IpPrefix;

use super::tls::TlsArgs;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "API")]
pub(crate) struct ApiArgs {
    /// Address of the API [default: 127.0.0.1:N]; where other machines reach it, it needs a certificate or --api-insecure
    #[arg(long = "api", value_name = "ADDR:PORT", env = "CTL_API")]
    pub address: Option<SocketAddr>,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Serves other machines without encryption, tokens included; only where nobody can listen
    #[arg(long, value_name = "BOOL", env = "CTL_API_INSECURE", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true)]
    pub api_insecure: bool,
    /// From where requests may come, beside this machine [default: from everywhere if --api lets them]. May be repeated;
    /// allowManagementFrom in local.conf comes before it
    #[arg(long = "api-allow", value_name = "IP/BITS", env = "CTL_API_ALLOW", value_delimiter = ',')]
    pub allowed: Vec<IpPrefix>,
    /// Page that may use the API from a browser, beside the console, for example https://panel.example. May be repeated
    #[arg(long = "api-origin", value_name = "ORIGIN", env = "CTL_API_ORIGIN", value_delimiter = ',')]
    pub origins: Vec<Origin>,
    /// Takes tokens from the URL too (?auth=TOKEN), as the official controller does; URLs end up in logs
    #[arg(long, value_name = "BOOL", env = "CTL_API_QUERY_TOKEN", num_args = 0..=1, require_equals = true,
          default_value = "false", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true)]
    pub api_query_token: bool,
}

/// The API would be open to listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "other machines would reach the API at {address} without encryption, and tokens with it; give it a certificate with \
     --api-cert and --api-key, leave it on 127.0.0.1 behind a proxy, or say --api-insecure"
)]
pub(crate) struct Exposed {
    address: SocketAddr,
}

impl ApiArgs {
    /// Returns where the API is to listen; `port` is that of the node.
    ///
    /// # Errors
    /// If tokens would travel in the clear and nobody said that they may (known flaw 17).
    pub(crate) fn listen(&self, port: u16) -> Result<SocketAddr, Exposed> {
        self.permitted(self.address.unwrap_or((Ipv4Addr::LOCALHOST, port).into()))
    }

    /// Returns `address` if the API may listen there.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub(crate) fn permitted(&self, address: SocketAddr) -> Result<SocketAddr, Exposed> {
        let is_safe = self.is_tls() || address.ip().to_canonical().is_loopback();
        if is_safe || self.api_insecure { Ok(address) } else { Err(Exposed { address }) }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.api_cert.is_some()
    }

    /// Returns from where requests may come to `address`, beside this machine.
    pub(crate) fn allowed_sources(&self, address: SocketAddr) -> Vec<IpPrefix> {
        if !self.allowed.is_empty() {
            return self.allowed.clone();
        }
        // Whoever binds the API to another address than loopback wants it to be reached from elsewhere.
        let everywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        let is_local = address.ip().to_canonical().is_loopback();
        everywhere.into_iter().filter(|_| !is_local).filter_map(|ip| IpPrefix::new(ip, 0).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        api: ApiArgs,
    }

    fn parse(arguments: &[&str]) -> Result<ApiArgs, String> {
        let line = Line::try_parse_from([&["test"], arguments].concat());
        line.map(|line| line.api).map_err(|error| error.to_string())
    }

    const TLS: [&str; 4] = ["--api-cert", "c", "--api-key", "k"];

    /// `known-flaws.md` row 17: every combination of address, certificate and flag.
    #[test]
    fn beyond_loopback_the_api_needs_a_certificate_or_an_explicit_flag() {
        for (address, is_local) in [
            (None, true),
            (Some("127.0.0.1:1"), true),
            (Some("127.9.9.9:1"), true),
            (Some("[::1]:1"), true),
            (Some("[::ffff:127.0.0.1]:1"), true),
            (Some("0.0.0.0:1"), false),
            (Some("[::]:1"), false),
            (Some("192.0.2.1:1"), false),
            (Some("[fd00::1]:1"), false),
            (Some("[::ffff:192.0.2.1]:1"), false),
        ] {
            for has_tls in [false, true] {
                for is_insecure in [false, true] {
                    let mut arguments = Vec::new();
                    arguments.extend(address.iter().flat_map(|address| ["--api", address]));
                    arguments.extend(TLS.iter().filter(|_| has_tls));
                    arguments.extend(["--api-insecure"].iter().filter(|_| is_insecure));
                    let api = parse(&arguments).unwrap();
                    let listens = api.listen(9993);
                    assert_eq!(listens.is_ok(), is_local || has_tls || is_insecure, "{arguments:?}");
                    let expected = address.unwrap_or("127.0.0.1:9993").parse().unwrap();
                    match listens {
                        Ok(address) => assert_eq!(address, expected),
                        Err(error) => {
                            let error = error.to_string();
                            for word in ["--api-cert", "--api-key", "127.0.0.1", "--api-insecure"] {
                                assert!(error.contains(word), "{error}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn half_a_certificate_is_refused() {
        for half in [&TLS[..2], &TLS[2..]] {
            assert!(parse(half).unwrap_err().contains("--api-"), "{half:?}");
        }
    }

    #[test]
    fn sources_are_those_that_were_named_or_follow_from_the_address() {
        let sources = |arguments: &[&str], address: &str| {
            let allowed = parse(arguments).unwrap().allowed_sources(address.parse().unwrap());
            allowed.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(sources(&[], "127.0.0.1:1").is_empty() && sources(&[], "[::1]:1").is_empty());
        assert_eq!(sources(&[], "0.0.0.0:1"), ["0.0.0.0/0", "::/0"]);
        let named = ["--api-allow", "10.0.0.0/8", "--api-allow", "fd00::/8"];
        for address in ["127.0.0.1:1", "0.0.0.0:1"] {
            assert_eq!(sources(&named, address), ["10.0.0.0/8", "fd00::/8"]);
        }
        assert!(parse(&["--api-allow", "10.0.0.0/99"]).is_err());
        assert!(parse(&["--api-origin", "*"]).unwrap_err().contains("expected an origin"));
    }
}
