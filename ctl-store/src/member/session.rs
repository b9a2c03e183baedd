//! Whose session has ended, in networks whose members log in.

use zt_proto::{Address, NetworkId, Timestamp};

use super::Members;
use crate::column::{AddressColumn, NetworkColumn, U64Column};
use crate::error::StoreError;

impl Members<'_> {
    /// Returns whose session ended after `after`, but not after `until`, of the authorized members of networks in which sessions
    /// count; with when, and all of a network together.
    pub fn sessions_ended(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(NetworkId, Address, Timestamp)>, StoreError> {
        let times = [U64Column(after.0), U64Column(until.0)];
        self.tx.query(ENDED, times, "a member whose session ended", |row| {
            let (network, member) =
                (row.get::<NetworkColumn>("network")?.0, row.get::<AddressColumn>("address")?.0);
            Ok((network, member, row.get::<U64Column>("sso_expires")?.time()))
        })
    }
}

/// The third condition is that of the index. The search begins at the first lower bound that is named.
const ENDED: &str = "SELECT network, address, sso_expires FROM member \
                     WHERE sso_expires > ?1 AND sso_expires <= ?2 AND sso_expires > 0 \
                     AND authorized = 1 AND sso_exempt = 0 AND EXISTS \
                     (SELECT 1 FROM network WHERE network.id = member.network AND network.sso_enabled = 1) \
                     ORDER BY network, address";

#[cfg(test)]
mod tests {
    use ctl_core::member::Credential;
    use ctl_core::{Member, Network};

    use super::*;
    use crate::{Store, query_plan};

    #[test]
    fn sessions_that_ended_are_found_of_members_that_would_be_in_otherwise() {
        let store = Store::in_memory().unwrap();
        let (with_login, without) = (NetworkId(1), NetworkId(2));
        let member = |network, node, expiry| {
            let address = Address::from_low_bits(node);
            let mut member = Member::new(network, address, Timestamp(1));
            member.authorize(Credential::Api, Timestamp(1));
            Member { authentication_expiry: Timestamp(expiry), ..member }
        };
        let network = |id, sso_enabled| Network { sso_enabled, ..Network::new(id, Timestamp(1)) };
        store
            .write(|tx| {
                tx.networks().put(&network(with_login, true))?;
                tx.networks().put(&network(without, false))?;
                for (node, expiry) in [(1, 0), (2, 100), (3, 101), (4, 200), (5, 201), (6, u64::MAX)] {
                    tx.members().put(&member(with_login, node, expiry))?;
                    tx.members().put(&member(without, node, expiry))?;
                }
                tx.members().put(&Member { sso_exempt: true, ..member(with_login, 7, 150) })?;
                tx.members().put(&Member { authorized: false, ..member(with_login, 8, 150) })
            })
            .unwrap();
        let ended = |after, until| {
            store.read(|tx| tx.members().sessions_ended(Timestamp(after), Timestamp(until))).unwrap()
        };
        let found: Vec<_> = ended(100, 200)
            .into_iter()
            .map(|(network, node, time)| (network, node.to_u64(), time.0))
            .collect();
        assert_eq!(found, [(with_login, 3, 101), (with_login, 4, 200)]);
        assert!(ended(201, 1_000).is_empty());
    }

    /// It is looked for every two seconds.
    #[test]
    fn sessions_that_ended_are_found_without_a_look_at_the_others() {
        let plan = query_plan::of(ENDED);
        assert!(plan.contains("SEARCH member USING INDEX member_session"), "{plan}");
        assert_eq!(query_plan::begins_with_parameter(ENDED), Some(1), "behind those that ended before");
    }
}
