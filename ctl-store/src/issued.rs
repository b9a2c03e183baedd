//! Up to when configurations may have been issued.

use zt_proto::Timestamp;

use crate::Tx;
use crate::column::U64Column;
use crate::error::StoreError;

impl Tx<'_> {
    /// Returns the time after which no configuration has been issued; 0 if none ever was.
    pub fn issued_until(&self) -> Result<Timestamp, StoreError> {
        let found = self.query("SELECT until FROM issued", [], "the issue clock", |row| {
            Ok(row.get::<U64Column>("until")?.time())
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// Allows configurations to be issued up to `until`. An earlier time than what is allowed already changes nothing.
    pub fn allow_issuing_until(&self, until: Timestamp) -> Result<(), StoreError> {
        let sql = "INSERT INTO issued (id, until) VALUES (1, ?1) \
                   ON CONFLICT (id) DO UPDATE SET until = max(until, excluded.until)";
        self.execute(sql, [U64Column(until.0)]).map(drop)
    }
}
