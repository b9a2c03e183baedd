//! Archives as they should be, damaged ones, and those that somebody made to do harm.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What a home of the tests holds.
fn content(name: &str) -> Vec<u8> {
    if name == DATABASE {
        (0..40_000_u32).flat_map(u32::to_be_bytes).collect()
    } else {
        name.repeat(9).into_bytes()
    }
}

fn manifest(names: &[&str]) -> Manifest {
    let files = names.iter().map(|name| describe(name, &*content(name)).unwrap()).collect();
    Manifest::new("89e92ceee5".parse().unwrap(), Timestamp(1_795_375_457_042), files)
}

const NAMES: [&str; 4] = [IDENTITY_SECRET, "planet", "moons.d/000000d8d3a20d30.moon", DATABASE];

fn archive() -> (Manifest, Vec<u8>) {
    let manifest = manifest(&NAMES);
    let mut bytes = Vec::new();
    write(&mut bytes, &Sealing::None, &manifest, |file| Ok(Cursor(content(&file.name)))).unwrap();
    (manifest, bytes)
}

type Cursor = io::Cursor<Vec<u8>>;
#[expect(non_snake_case, reason = "reads like the type that it makes")]
fn Cursor(bytes: Vec<u8>) -> Cursor {
    io::Cursor::new(bytes)
}

/// Reads an archive, and returns what would have been put where.
fn unpack(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    let placed = std::cell::RefCell::new(BTreeMap::new());
    struct Place<'a>(&'a std::cell::RefCell<BTreeMap<String, Vec<u8>>>, String);
    impl Write for Place<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().entry(self.1.clone()).or_default().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let length = bytes.len().try_into().unwrap();
    read(bytes, length, &Key::None, |file| Ok(Place(&placed, file.name.clone())))?;
    Ok(placed.into_inner())
}

/// Packs any tar entries as an attacker would.
fn pack(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        header.set_size(content.len().try_into().unwrap());
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn json(manifest: &Manifest) -> Vec<u8> {
    serde_json::to_vec(manifest).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    unpack(bytes).unwrap_err().to_string()
}

#[test]
fn what_was_packed_is_unpacked() {
    let (_, bytes) = archive();
    let expected: BTreeMap<_, _> = NAMES.map(|name| (name.to_owned(), content(name))).into();
    assert_eq!(unpack(&bytes).unwrap(), expected);
}

#[test]
fn every_cut_and_every_addition_is_noticed() {
    let (_, bytes) = archive();
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert!(unpack(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
    }
    assert!(refused(&[&bytes[..], b"x"].concat()).contains("follows its end"));
    assert!(refused(&[&bytes[..], &bytes].concat()).contains("follows its end"));
}

#[test]
fn paths_out_of_the_home_links_and_devices_are_refused() {
    let evil = manifest(&[IDENTITY_SECRET, DATABASE]);
    for name in ["../evil", "/etc/passwd", "moons.d/../../evil.moon", "ctl-bin.lock", "moons.d/x.moon", ""] {
        let mut listed = evil.clone();
        listed.files.push(FileEntry { name: name.to_owned(), size: 1, sha256: String::new() });
        let bytes = pack(&[(MANIFEST, EntryType::Regular, &json(&listed))]);
        assert!(refused(&bytes).contains("a home has no file"), "{name}");
        // Not named, but there.
        let bytes = pack(&[(MANIFEST, EntryType::Regular, &json(&evil)), (name, EntryType::Regular, b"x")]);
        assert!(refused(&bytes).contains("expected the file identity.secret"), "{name}");
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Char,
        EntryType::Fifo,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::GNUSparse,
    ] {
        let bytes = pack(&[(MANIFEST, EntryType::Regular, &json(&evil)), (IDENTITY_SECRET, kind, b"x")]);
        assert!(unpack(&bytes).is_err(), "{kind:?}");
        let bytes = pack(&[(MANIFEST, kind, &json(&evil))]);
        assert!(unpack(&bytes).is_err(), "{kind:?}");
    }
}

#[test]
fn files_that_are_more_other_or_longer_than_named_are_refused() {
    let listed = manifest(&[IDENTITY_SECRET, DATABASE]);
    let (text, identity, database) = (json(&listed), content(IDENTITY_SECRET), content(DATABASE));
    let regular = EntryType::Regular;
    let good = [
        (MANIFEST, regular, &*text),
        (IDENTITY_SECRET, regular, &*identity),
        (DATABASE, regular, &*database),
    ];
    unpack(&pack(&good)).unwrap();
    let more = [&good[..], &[("planet", regular, b"x")]].concat();
    assert!(refused(&pack(&more)).contains("more files than it names"));
    assert!(refused(&pack(&good[..2])).contains("ends before controller.db"));
    assert!(refused(&pack(&good[1..])).contains("expected the file manifest.json"));
    let longer = [&database[..], b"x"].concat();
    assert!(refused(&pack(&[good[0], good[1], (DATABASE, regular, &longer)])).contains("bytes instead of"));
    let mut other = database.clone();
    other[1000] ^= 1;
    assert!(refused(&pack(&[good[0], good[1], (DATABASE, regular, &other)])).contains("SHA-256"));
    for missing in [IDENTITY_SECRET, DATABASE] {
        let mut listed = listed.clone();
        listed.files.retain(|file| file.name != missing);
        assert!(
            refused(&pack(&[(MANIFEST, regular, &json(&listed))])).contains(&format!("has no {missing}"))
        );
    }
    let mut twice = listed.clone();
    twice.files.push(twice.files[0].clone());
    assert!(refused(&pack(&[(MANIFEST, regular, &json(&twice))])).contains("twice"));
    let newer = Manifest { format: 2, ..listed };
    assert!(matches!(
        unpack(&pack(&[(MANIFEST, regular, &json(&newer))])),
        Err(ArchiveError::NewerFormat(2))
    ));
}

#[test]
fn bombs_are_refused_before_anything_is_written() {
    let sized = |name: &str, size: u64| {
        let mut listed = manifest(&[IDENTITY_SECRET, DATABASE]);
        listed.files.iter_mut().find(|file| file.name == name).unwrap().size = size;
        refused(&pack(&[(MANIFEST, EntryType::Regular, &json(&listed))]))
    };
    assert!(sized(DATABASE, FREE_BYTES + 1).contains("made to fill a disk"));
    assert!(sized(DATABASE, MAX_DATABASE_BYTES + 1).contains("more than"));
    assert!(sized(IDENTITY_SECRET, MAX_SMALL_FILE_BYTES + 1).contains("more than"));
    let long =
        pack(&[(MANIFEST, EntryType::Regular, &vec![b' '; (MAX_MANIFEST_BYTES + 1).try_into().unwrap()])]);
    assert!(refused(&long).contains("manifest.json has"));
    let mut many = manifest(&[IDENTITY_SECRET, DATABASE]);
    for n in 0..MAX_FILES {
        let name = format!("moons.d/{n:016x}.moon");
        many.files.push(FileEntry { name, size: 0, sha256: String::new() });
    }
    assert!(refused(&pack(&[(MANIFEST, EntryType::Regular, &json(&many))])).contains("more than 128"));
    // Gigabytes of zeros behind the last file, in a few kilobytes.
    let listed = manifest(&[IDENTITY_SECRET, DATABASE]);
    let text = json(&listed);
    let (identity, database) = (content(IDENTITY_SECRET), content(DATABASE));
    let mut archive = Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for (name, bytes) in [(MANIFEST, &text), (IDENTITY_SECRET, &identity), (DATABASE, &database)] {
        append(&mut archive, name, 0o600, bytes.len() as u64, &listed, &**bytes).unwrap();
    }
    let mut encoder = archive.into_inner().unwrap();
    io::copy(&mut io::repeat(0).take(1 << 26), &mut encoder).unwrap();
    assert!(refused(&encoder.finish().unwrap()).contains("follows its end"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(unpack(&bytes).is_err());
        let mut tar = zstd::Encoder::new(Vec::new(), 1).unwrap();
        tar.write_all(&bytes).unwrap();
        prop_assert!(unpack(&tar.finish().unwrap()).is_err());
    }

    /// Also in the plain tar stream, where neither compression nor encryption notices it.
    #[test]
    fn no_changed_byte_of_the_content_goes_unnoticed(place: prop::sample::Index, change in 1..=255_u8) {
        let (manifest, bytes) = archive();
        let mut plain = Vec::new();
        zstd::Decoder::new(&*bytes).unwrap().read_to_end(&mut plain).unwrap();
        let place = place.index(plain.len());
        plain[place] ^= change;
        let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
        packed.write_all(&plain).unwrap();
        if let Ok(unpacked) = unpack(&packed.finish().unwrap()) {
            // Padding and fields that are not used.
            for file in &manifest.files {
                prop_assert_eq!(&unpacked[&file.name], &content(&file.name));
            }
        }
    }
}
