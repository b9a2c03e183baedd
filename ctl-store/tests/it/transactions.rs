//! All or nothing, and one view for whoever reads.

use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;

use ctl_core::Network;
use ctl_store::{Store, StoreError};
use zt_proto::NetworkId;

use crate::sample::{
    NETWORK, NOW, address, get_member, member, member_with, network, put_member, put_network, store,
};

#[test]
fn error_of_the_caller_undoes_the_whole_transaction() {
    #[derive(Debug)]
    enum Error {
        Mine,
    }
    impl From<StoreError> for Error {
        fn from(error: StoreError) -> Self {
            panic!("{error}")
        }
    }
    let store = store();
    let result = store.write(|tx| {
        tx.members().put(&member_with(1, &["10.0.0.1"]))?;
        tx.networks().put(&Network::new(NetworkId(7), NOW))?;
        Err::<(), _>(Error::Mine)
    });
    assert!(matches!(result, Err(Error::Mine)), "{result:?}");
    assert_eq!(get_member(&store, 1), None);
    assert_eq!(store.read(|tx| tx.networks().list()).unwrap(), [NETWORK]);
    put_member(&store, &member_with(2, &["10.0.0.1"])).unwrap();
}

#[test]
fn panic_of_the_caller_undoes_the_transaction_and_the_store_lives_on() {
    let directory = tempfile::tempdir().unwrap();
    for store in [store(), file_store(&directory)] {
        let attempt = panic::catch_unwind(AssertUnwindSafe(|| {
            store.write(|tx| {
                tx.members().put(&member(1))?;
                if tx.members().get(NETWORK, address(1))?.is_some() {
                    panic!("on purpose");
                }
                Ok::<_, StoreError>(())
            })
        }));
        assert!(attempt.is_err());
        assert_eq!(get_member(&store, 1), None);
        put_member(&store, &member(2)).unwrap();
        assert_eq!(get_member(&store, 2), Some(member(2)));
    }
}

#[test]
fn reading_transaction_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    for store in [store(), file_store(&directory)] {
        let result = store.read(|tx| tx.members().put(&member(1)));
        assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
        let result = store.read(|tx| tx.networks().remove(NETWORK, NOW));
        assert!(matches!(result, Err(StoreError::Internal { .. })), "{result:?}");
        assert_eq!(store.read(|tx| tx.networks().list()).unwrap(), [NETWORK]);
    }
}

#[test]
fn readers_keep_their_view_while_a_writer_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = file_store(&directory);
    put_member(&store, &member(1)).unwrap();
    thread::scope(|scope| {
        let readers: Vec<_> = iter::repeat_with(|| {
            let ((view_taken, viewed), (committed, wait)) = (mpsc::channel(), mpsc::channel::<()>());
            let store = &store;
            scope.spawn(move || {
                let (before, after) = store
                    .read(|tx| {
                        let before = (tx.members().list(NETWORK)?, tx.networks().get(NETWORK)?);
                        view_taken.send(()).unwrap();
                        wait.recv().unwrap();
                        Ok::<_, StoreError>((
                            before,
                            (tx.members().list(NETWORK)?, tx.networks().get(NETWORK)?),
                        ))
                    })
                    .unwrap();
                assert_eq!(before, after);
                assert_eq!(after.0, [member(1)]);
            });
            (viewed, committed)
        })
        .take(2)
        .collect();
        readers.iter().for_each(|(viewed, _)| viewed.recv().unwrap());
        put_member(&store, &member(2)).unwrap();
        put_network(&store, &Network { revision: 2, ..network(NETWORK) });
        readers.iter().for_each(|(_, committed)| committed.send(()).unwrap());
    });
    let list = store.read(|tx| tx.members().list(NETWORK)).unwrap();
    assert_eq!(list, [member(1), member(2)]);
}

#[test]
fn reader_sees_nothing_of_a_change_that_is_not_committed() {
    let directory = tempfile::tempdir().unwrap();
    let store = file_store(&directory);
    store
        .write(|tx| {
            tx.members().put(&member(1))?;
            assert_eq!(tx.members().get(NETWORK, address(1))?, Some(member(1)));
            assert_eq!(get_member(&store, 1), None);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(get_member(&store, 1), Some(member(1)));
}

#[test]
fn clones_share_one_database() {
    let store = store();
    put_member(&store.clone(), &member(1)).unwrap();
    assert_eq!(get_member(&store, 1), Some(member(1)));
    let other = Store::in_memory().unwrap();
    assert_eq!(other.read(|tx| tx.networks().list()).unwrap(), []);
}

fn file_store(directory: &tempfile::TempDir) -> Store {
    let store = Store::open(&directory.path().join("ctl.db")).unwrap();
    put_network(&store, &network(NETWORK));
    store
}

#[test]
fn a_write_changes_the_generation_whatever_becomes_of_it_and_one_aside_does_not() {
    let store = store();
    let mut generations = vec![store.generation()];
    store.read(|tx| tx.networks().list()).unwrap();
    store.write_aside(|tx| tx.members().put(&member(1))).unwrap();
    assert_eq!(get_member(&store, 1), Some(member(1)));
    generations.push(store.generation());
    assert_eq!(generations[0], generations[1]);
    put_member(&store, &member(2)).unwrap();
    generations.push(store.generation());
    store.write(|_| Err::<(), _>(StoreError::NoSuchNetwork { network: NETWORK })).unwrap_err();
    generations.push(store.clone().generation());
    assert_eq!(store.settled_generation(), generations.last().copied());
    let meanwhile = store.write(|_| Ok::<_, StoreError>(store.settled_generation())).unwrap();
    assert_eq!(meanwhile, None, "a write is going on");
    panic::catch_unwind(AssertUnwindSafe(|| store.write::<(), StoreError>(|_| panic!("on purpose"))))
        .unwrap_err();
    assert_eq!(store.settled_generation(), Some(store.generation()));
    generations.dedup();
    assert_eq!(generations.len(), 3, "each is another one: {generations:?}");
}
