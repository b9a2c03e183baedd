//! Child processes whose output is kept, waited for, and shown when a test fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How much of a process's output a failing test shows.
const TAIL_LINES: usize = 40;

/// A line that a process printed, on either stream.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

/// A running child process; killed when dropped, and if that is because a test failed, quoted.
pub(crate) struct Process {
    name: String,
    started: Instant,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    /// Streams that reached their end, of two.
    closed_streams: u8,
}

impl Process {
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        let started = now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        let output = Arc::new(Output::default());
        output.clone().keep(child.stdout.take().unwrap());
        output.clone().keep(child.stderr.take().unwrap());
        Self { name: name.to_owned(), started, stdin: child.stdin.take(), child, output }
    }

    /// Sends a line to the process's standard input.
    pub(crate) fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        if let Err(error) = writeln!(stdin, "{line}").and_then(|()| stdin.flush()) {
            panic!("{} takes no more input: {error}", self.name);
        }
    }

    /// How many lines there are, to look later at those that came after.
    pub(crate) fn mark(&self) -> usize {
        self.output.lock().lines.len()
    }

    /// What the process printed since `mark`.
    pub(crate) fn lines_since(&self, mark: usize) -> Vec<Line> {
        self.output.lock().lines.iter().skip(mark).cloned().collect()
    }

    /// Waits for a line after `mark` in which `look` finds what it looks for.
    ///
    /// # Panics
    /// If there is none within `limit`, or the process ends without it.
    pub(crate) fn wait_for<T>(
        &self,
        mark: usize,
        limit: Duration,
        what: &str,
        look: impl FnMut(&Line) -> Option<T>,
    ) -> T {
        self.find(mark, limit, look).unwrap_or_else(|| {
            panic!("waited for: {what}; but {} ended or took more than {limit:?}", self.name)
        })
    }

    /// Waits for a line after `mark` in which `look` finds what it looks for; `None` if there is none within
    /// `limit`, or the process ends without it.
    pub(crate) fn find<T>(
        &self,
        mark: usize,
        limit: Duration,
        mut look: impl FnMut(&Line) -> Option<T>,
    ) -> Option<T> {
        let deadline = now() + limit;
        let mut seen = mark;
        let mut state = self.output.lock();
        loop {
            if let Some(found) = state.lines.iter().skip(seen).find_map(&mut look) {
                return Some(found);
            }
            seen = state.lines.len();
            let left = deadline.saturating_duration_since(now());
            if state.closed_streams == 2 || left.is_zero() {
                return None;
            }
            state = self.output.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        // Who has closed both streams is about to.
        let is_ending = self.output.lock().closed_streams == 2;
        if is_ending { self.child.wait().ok() } else { self.child.try_wait().unwrap() }
    }

    /// Shows how the process is, and what it printed last.
    pub(crate) fn quote(&mut self) {
        let status = self.ended().map_or("still runs".to_owned(), |status| format!("ended with {status}"));
        let state = self.output.lock();
        let skipped = state.lines.len().saturating_sub(TAIL_LINES);
        let name = &self.name;
        eprintln!(
            "---- {name}, which {status}; its last lines, with seconds since its start ({skipped} before them)"
        );
        for line in state.lines.iter().skip(skipped) {
            eprintln!("{:9.3} {}", line.at.duration_since(self.started).as_secs_f64(), line.text);
        }
    }

    /// Tells the process to end by itself.
    pub(crate) fn terminate(&mut self) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(told.success(), "{} is gone already", self.name);
    }

    /// Ends the process at once, as `kill -9` does, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // An error means that it is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            self.quote();
        }
        self.kill();
    }
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects the lines of one stream until its end, in a thread of its own.
    fn keep(self: Arc<Self>, stream: impl Read + Send + 'static) {
        thread::spawn(move || {
            for text in BufReader::new(stream).lines().map_while(Result::ok) {
                self.lock().lines.push(Line { at: now(), text });
                self.changed.notify_all();
            }
            self.lock().closed_streams += 1;
            self.changed.notify_all();
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "these tests watch real processes, whose time is the real one")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "these tests watch real processes, whose time is the real one")]
pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}
