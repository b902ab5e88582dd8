//! JSON objects that are read from objects alone. serde's derive also reads a list of the members' values, in the order
//! of the fields in the source, which no API should promise.

/// Makes types that derive `Deserialize` with `#[serde(remote = "Self")]` be read from objects only; with `read and
/// written`, types that derive `Serialize` so, too, which are written as derived.
#[macro_export]
macro_rules! json_objects {
    (read and written: $($type:ty),+ $(,)?) => {
        $(
            $crate::json_objects!(@read [] $type);

            impl serde::Serialize for $type {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    <$type>::serialize(self, serializer)
                }
            }
        )+
    };
    (read: $($name:ident $(<$life:lifetime>)?),+ $(,)?) => {
        $($crate::json_objects!(@read [$($life)?] $name $(<$life>)?);)+
    };
    (@read [$($life:lifetime)?] $type:ty) => {
        impl<'de $(: $life, $life)?> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<T>(std::marker::PhantomData<T>);

                impl<'de $(: $life, $life)?> serde::de::Visitor<'de> for Members<$type> {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, members: A) -> Result<$type, A::Error> {
                        // The derived function, not that of the trait.
                        <$type>::deserialize(serde::de::value::MapAccessDeserializer::new(members))
                    }
                }

                deserializer.deserialize_map(Members::<$type>(std::marker::PhantomData))
            }
        }
    };
}
