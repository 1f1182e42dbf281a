//! Typed columns: owned, borrowed, and writable.
//!
//! A column is a flat array of one element type. A batch of `B` rows of a leaf with shape `[3, 2]` is a column of
//! `B * 6` elements, rows one after the other, C order inside a row.

use std::ops::Range;

use crate::dtype::DType;

/// Element that a column can hold.
pub trait Element: Copy + PartialEq + std::fmt::Debug + 'static {
    /// Its type name.
    const DTYPE: DType;
    /// The slice, if the column is of this type.
    fn slice_of<'a>(column: &ColumnRef<'a>) -> Option<&'a [Self]>;
    /// The writable slice, if the column is of this type.
    fn slice_mut_of<'a>(column: &'a mut ColumnMut<'_>) -> Option<&'a mut [Self]>;
}

macro_rules! columns {
    ($(($variant:ident, $kind:ty, $name:ident, $zero:expr, $to_f64:expr, $to_bytes:expr, $from_bytes:expr)),+ $(,)?) => {
        /// An owned column.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Column {
            $(#[doc = concat!("Elements of type `", stringify!($kind), "`.")] $variant(Vec<$kind>),)+
        }

        /// A borrowed column.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum ColumnRef<'a> {
            $(#[doc = concat!("Elements of type `", stringify!($kind), "`.")] $variant(&'a [$kind]),)+
        }

        /// A writable borrowed column.
        #[derive(Debug, PartialEq)]
        pub enum ColumnMut<'a> {
            $(#[doc = concat!("Elements of type `", stringify!($kind), "`.")] $variant(&'a mut [$kind]),)+
        }

        impl Column {
            /// A column of `len` zeros (`false` for booleans).
            pub fn zeros(dtype: DType, len: usize) -> Column {
                match dtype { $(DType::$variant => Column::$variant(vec![$zero; len]),)+ }
            }

            /// Element type.
            pub fn dtype(&self) -> DType {
                match self { $(Column::$variant(_) => DType::$variant,)+ }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self { $(Column::$variant(values) => values.len(),)+ }
            }

            /// Borrows the column.
            pub fn as_ref(&self) -> ColumnRef<'_> {
                match self { $(Column::$variant(values) => ColumnRef::$variant(values),)+ }
            }

            /// Borrows the column for writing.
            pub fn as_mut(&mut self) -> ColumnMut<'_> {
                match self { $(Column::$variant(values) => ColumnMut::$variant(values),)+ }
            }

            /// The elements as little-endian bytes.
            pub fn to_le_bytes(&self) -> Vec<u8> {
                match self {
                    $(Column::$variant(values) => values.iter().flat_map(|value| $to_bytes(*value)).collect(),)+
                }
            }

            /// Reads little-endian bytes. `None` if their number is no multiple of the element size.
            pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Option<Column> {
                if !bytes.len().is_multiple_of(dtype.size()) {
                    return None;
                }
                Some(match dtype {
                    $(DType::$variant => {
                        let (elements, _) = bytes.as_chunks::<{ size_of::<$kind>() }>();
                        Column::$variant(elements.iter().map(|element| $from_bytes(*element)).collect())
                    })+
                })
            }
        }

        impl<'a> ColumnRef<'a> {
            /// Element type.
            pub fn dtype(&self) -> DType {
                match self { $(ColumnRef::$variant(_) => DType::$variant,)+ }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self { $(ColumnRef::$variant(values) => values.len(),)+ }
            }

            /// The elements of `range`. `None` if it lies outside.
            pub fn slice(&self, range: Range<usize>) -> Option<ColumnRef<'a>> {
                Some(match self { $(ColumnRef::$variant(values) => ColumnRef::$variant(values.get(range)?),)+ })
            }

            /// An owned copy.
            pub fn to_column(&self) -> Column {
                match self { $(ColumnRef::$variant(values) => Column::$variant(values.to_vec()),)+ }
            }

            /// Element `index` as `f64` (inexact for large 64-bit integers). `None` if outside.
            pub fn get_f64(&self, index: usize) -> Option<f64> {
                Some(match self { $(ColumnRef::$variant(values) => $to_f64(*values.get(index)?),)+ })
            }

            $(
                #[doc = concat!("The elements, if they are `", stringify!($kind), "`.")]
                pub fn $name(&self) -> Option<&'a [$kind]> {
                    match self { ColumnRef::$variant(values) => Some(values), _ => None }
                }
            )+
        }

        impl ColumnMut<'_> {
            /// Element type.
            pub fn dtype(&self) -> DType {
                match self { $(ColumnMut::$variant(_) => DType::$variant,)+ }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match self { $(ColumnMut::$variant(values) => values.len(),)+ }
            }

            /// Borrows it for reading.
            pub fn as_ref(&self) -> ColumnRef<'_> {
                match self { $(ColumnMut::$variant(values) => ColumnRef::$variant(values),)+ }
            }

            /// Borrows it again, for a shorter time.
            pub fn reborrow(&mut self) -> ColumnMut<'_> {
                match self { $(ColumnMut::$variant(values) => ColumnMut::$variant(values),)+ }
            }

            /// The elements of `range`, writable. `None` if it lies outside.
            pub fn slice_mut(&mut self, range: Range<usize>) -> Option<ColumnMut<'_>> {
                Some(match self { $(ColumnMut::$variant(values) => ColumnMut::$variant(values.get_mut(range)?),)+ })
            }

            /// Copies a column of the same type and length; `false`, and nothing copied, for any other.
            #[must_use]
            pub fn copy_from(&mut self, source: &ColumnRef<'_>) -> bool {
                match (self, source) {
                    $((ColumnMut::$variant(to), ColumnRef::$variant(from)) if to.len() == from.len() => {
                        to.copy_from_slice(from);
                        true
                    })+
                    _ => false,
                }
            }
        }

        $(
            impl Element for $kind {
                const DTYPE: DType = DType::$variant;
                fn slice_of<'a>(column: &ColumnRef<'a>) -> Option<&'a [$kind]> {
                    column.$name()
                }
                fn slice_mut_of<'a>(column: &'a mut ColumnMut<'_>) -> Option<&'a mut [$kind]> {
                    match column { ColumnMut::$variant(values) => Some(values), _ => None }
                }
            }
            impl From<Vec<$kind>> for Column {
                fn from(values: Vec<$kind>) -> Column { Column::$variant(values) }
            }
            impl<'a> From<&'a [$kind]> for ColumnRef<'a> {
                fn from(values: &'a [$kind]) -> ColumnRef<'a> { ColumnRef::$variant(values) }
            }
            impl<'a> From<&'a mut [$kind]> for ColumnMut<'a> {
                fn from(values: &'a mut [$kind]) -> ColumnMut<'a> { ColumnMut::$variant(values) }
            }
        )+
    };
}

columns!(
    (F32, f32, f32, 0.0, f64::from, f32::to_le_bytes, f32::from_le_bytes),
    (F64, f64, f64, 0.0, f64::from, f64::to_le_bytes, f64::from_le_bytes),
    (I8, i8, i8, 0, f64::from, i8::to_le_bytes, i8::from_le_bytes),
    (I16, i16, i16, 0, f64::from, i16::to_le_bytes, i16::from_le_bytes),
    (I32, i32, i32, 0, f64::from, i32::to_le_bytes, i32::from_le_bytes),
    (I64, i64, i64, 0, |value| value as f64, i64::to_le_bytes, i64::from_le_bytes),
    (U8, u8, u8, 0, f64::from, u8::to_le_bytes, u8::from_le_bytes),
    (U16, u16, u16, 0, f64::from, u16::to_le_bytes, u16::from_le_bytes),
    (U32, u32, u32, 0, f64::from, u32::to_le_bytes, u32::from_le_bytes),
    (U64, u64, u64, 0, |value| value as f64, u64::to_le_bytes, u64::from_le_bytes),
    (Bool, bool, bool, false, f64::from, bool_to_byte, bool_from_byte),
);

fn bool_to_byte(value: bool) -> [u8; 1] {
    [u8::from(value)]
}

fn bool_from_byte(byte: [u8; 1]) -> bool {
    byte[0] != 0
}

impl Column {
    /// Whether the column has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> ColumnRef<'a> {
    /// Whether the column has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, if they are of type `T`.
    pub fn typed<T: Element>(&self) -> Option<&'a [T]> {
        T::slice_of(self)
    }

    /// Index of the first element that is NaN or infinite.
    pub fn first_non_finite(&self) -> Option<usize> {
        match self {
            ColumnRef::F32(values) => values.iter().position(|value| !value.is_finite()),
            ColumnRef::F64(values) => values.iter().position(|value| !value.is_finite()),
            _ => None,
        }
    }
}

impl ColumnMut<'_> {
    /// Whether the column has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements for writing, if they are of type `T`.
    pub fn typed_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        T::slice_mut_of(self)
    }
}

/// Borrows columns for reading.
pub fn column_refs(columns: &[Column]) -> Vec<ColumnRef<'_>> {
    columns.iter().map(Column::as_ref).collect()
}

/// Borrows columns for writing.
pub fn column_muts(columns: &mut [Column]) -> Vec<ColumnMut<'_>> {
    columns.iter_mut().map(Column::as_mut).collect()
}
