//! What the API needs of the log: which levels it has, and that they can be others.

/// The levels of the log, for everything and for modules, as `--log-level` takes them.
pub trait LogLevels: Send + Sync {
    /// Returns those in force.
    fn current(&self) -> String;

    /// Has others in force from now on.
    ///
    /// # Errors
    /// What was expected, and what came instead; the levels are then what they were.
    fn set(&self, levels: &str) -> Result<(), String>;
}
