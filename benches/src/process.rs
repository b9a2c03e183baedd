//! A controller that is measured: a process of its own, its files in `/proc`, its API.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

/// Whatever went wrong, for a person who runs a measurement.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Where a spawned controller takes datagrams.
pub const CONTROLLER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 9993);
/// Where its API is.
pub const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9993);
/// Names another binary than the one beside this program.
const BINARY: &str = "CTL_BIN";

/// A controller that this program started, and kills when it is dropped.
pub struct Spawned {
    process: Child,
}

impl Spawned {
    /// Starts the release binary with a home, and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started, or ends.
    pub fn start(home: &Path) -> Result<Self> {
        let binary = env::var_os(BINARY).map_or_else(beside_this, |path| Ok(PathBuf::from(path)))?;
        let mut process = Command::new(&binary)
            .args(["--planet", "none", "--secondary-port", "0", "--home"])
            .arg(home)
            .env("RUST_LOG", env::var("RUST_LOG").unwrap_or_else(|_| "warn".into()))
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                format!("cannot run {}: {error}; cargo build --release -p ctl-bin", binary.display())
            })?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let started = Self { process };
        lines
            .find(|line| line.as_ref().is_ok_and(|line| line.starts_with("ready:")))
            .ok_or("the controller ended before it was ready")??;
        thread::spawn(move || lines.for_each(drop));
        Ok(started)
    }

    pub fn process(&self) -> Process {
        Process { id: self.process.id() }
    }

    /// Kills it at once, as a crash would.
    pub fn kill(mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Returns the release binary, which lies beside this program or beside its folder.
fn beside_this() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("ctl-bin")).find(|path| path.is_file());
    Ok(found.ok_or("no ctl-bin beside this program: cargo build --release -p ctl-bin")?)
}

/// What the kernel tells of a process.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pub id: u32,
}

/// CPU time that a process used, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    pub fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Process {
    /// Returns the time that was used so far, to the nanosecond; what of it the kernel took is known in steps of 10 ms.
    pub fn cpu(&self) -> Result<Cpu> {
        let total = ClockId::pid_cpu_clock_id(Pid::from_raw(self.id.try_into()?))?.now()?;
        let total = Duration::from(total).as_secs_f64();
        let stat = fs::read_to_string(self.file("stat"))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let (user, system) = (ticks(11), ticks(12));
        let system = total * system / (user + system).max(1.0);
        Ok(Cpu { user: total - system, system })
    }

    pub fn rss_kib(&self) -> Result<u64> {
        self.status_kib("VmRSS:")
    }

    /// Returns the most memory that was resident since [`Self::forget_peak`].
    pub fn peak_kib(&self) -> Result<u64> {
        self.status_kib("VmHWM:")
    }

    /// Makes what is resident now the most that there was, and returns it.
    pub fn forget_peak(&self) -> Result<u64> {
        fs::write(self.file("clear_refs"), "5")?;
        self.peak_kib()
    }

    fn status_kib(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(self.file("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("not in the status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.id.to_string()).join(name)
    }
}

/// A connection to the API, kept open.
pub struct Api {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Api {
    pub fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), token: token.to_owned() })
    }

    /// Makes a request and returns the body of the answer.
    ///
    /// # Errors
    /// If the status is not 200, with the body.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nX-ZT1-Auth: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let is_ok = line.starts_with("HTTP/1.1 200");
        let status = line.trim().to_owned();
        let (mut length, mut is_chunked) = (0, false);
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(format!("{method} {path}: the connection ended").into());
            }
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            is_chunked |= header == "transfer-encoding: chunked";
        }
        let mut body = vec![0; length];
        if is_chunked {
            self.read_chunks(&mut body)?;
        } else {
            self.stream.read_exact(&mut body)?;
        }
        let body = String::from_utf8(body)?;
        if is_ok { Ok(body) } else { Err(format!("{method} {path}: {status}: {body}").into()) }
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> Result<()> {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16)?;
            let begin = body.len();
            body.resize(begin + length, 0);
            self.stream.read_exact(body.get_mut(begin..).unwrap_or_default())?;
            self.stream.read_line(&mut line)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}
