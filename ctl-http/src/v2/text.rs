//! Values that JSON has as text: read strictly, written in one form, and described for the document of the API.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zt_proto::inet::EndpointText;
use zt_proto::{Address, IpPrefix, NetworkId, PublicIdentity};

use super::problem::cut;

/// Makes a type that is one text in JSON.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident($inner:ty), expected $expected:literal, schema $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let wrong = |_| de::Error::custom(format!("expected {}, got {:?}", $expected, cut(&text)));
                text.parse().map(Self).map_err(wrong)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text! {
    /// An IP address.
    Ip(IpAddr),
    expected "an IP address, for example 10.0.0.1 or fd00::1",
    schema { "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }], "examples": ["10.0.0.1"] }
}

text! {
    /// A range of addresses; host bits are kept.
    Prefix(IpPrefix),
    expected "ADDRESS/BITS, for example 10.0.0.0/24",
    schema {
        "type": "string",
        "pattern": "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])/(3[0-2]|[12]?[0-9])$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$",
        "examples": ["10.0.0.0/24", "fd00::/64"]
    }
}

text! {
    /// The address of a node.
    Node(Address),
    expected "the address of a node, ten hexadecimal digits",
    schema { "type": "string", "pattern": "^[0-9a-fA-F]{10}$", "examples": ["89e92ceee5"] }
}

text! {
    /// The public identity of a node.
    Identity(PublicIdentity),
    expected "the public identity of a node, ADDRESS:0:KEYS",
    schema { "type": "string" }
}

text! {
    /// The id of a network.
    NetworkText(NetworkId),
    expected "the id of a network, 16 hexadecimal digits",
    schema { "type": "string", "pattern": "^[0-9a-fA-F]{16}$", "examples": ["8056c2e21c000001"] }
}

text! {
    /// A UDP address.
    Endpoint(EndpointText),
    expected "IP/PORT, for example 192.0.2.1/9993",
    schema { "type": "string", "pattern": "^[0-9a-fA-F:.]+/[0-9]{1,5}$", "examples": ["192.0.2.1/9993"] }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_that_is_something_else_is_refused_with_what_was_expected() {
        let read = |text: &str| serde_json::from_value::<Ip>(json!(text)).map_err(|error| error.to_string());
        assert_eq!(read("fd00::1"), Ok(Ip("fd00::1".parse().unwrap())));
        let error = read("10.0.0.1/24").unwrap_err();
        assert_eq!(error, "expected an IP address, for example 10.0.0.1 or fd00::1, got \"10.0.0.1/24\"");
        assert!(serde_json::from_value::<Node>(json!("89e92ceee")).is_err());
        assert_eq!(serde_json::to_value(Prefix("10.0.0.1/8".parse().unwrap())).unwrap(), json!("10.0.0.1/8"));
    }
}
