//! Arrays of what Rust has: slices, vectors and arrays, of numbers and of texts.

use super::{Array, Element};

impl<T: Element> From<&[T]> for Array {
    fn from(items: &[T]) -> Self {
        Array::from_slice(items)
    }
}

impl<T: Element> From<&Vec<T>> for Array {
    fn from(items: &Vec<T>) -> Self {
        Array::from_slice(items)
    }
}

impl<T: Element> From<Vec<T>> for Array {
    fn from(items: Vec<T>) -> Self {
        Array::from_slice(&items)
    }
}

impl<T: Element, const N: usize> From<&[T; N]> for Array {
    fn from(items: &[T; N]) -> Self {
        Array::from_slice(items)
    }
}

impl<T: Element, const N: usize> From<[T; N]> for Array {
    fn from(items: [T; N]) -> Self {
        Array::from_slice(&items)
    }
}

impl From<&[&str]> for Array {
    fn from(items: &[&str]) -> Self {
        Array::from_strs(items)
    }
}

impl<const N: usize> From<[&str; N]> for Array {
    fn from(items: [&str; N]) -> Self {
        Array::from_strs(&items)
    }
}

impl From<&[String]> for Array {
    fn from(items: &[String]) -> Self {
        Array::from_strs(items)
    }
}

impl From<&Vec<String>> for Array {
    fn from(items: &Vec<String>) -> Self {
        Array::from_strs(items)
    }
}
