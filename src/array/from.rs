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

/// An array or a view of the crate `ndarray`, of any layout: its shape, and its items in C order.
///
/// # Panics
/// For more than [`Array::MAX_DIMENSIONS`], and for an empty one whose other dimensions are beyond any memory.
#[cfg(feature = "ndarray")]
impl<T, S, D> From<&ndarray::ArrayBase<S, D>> for Array
where
    T: Element,
    S: ndarray::Data<Elem = T>,
    D: ndarray::Dimension,
{
    fn from(view: &ndarray::ArrayBase<S, D>) -> Self {
        let items = match view.as_slice() {
            Some(items) => Array::from_slice(items),
            None => Array::from_slice(&view.iter().copied().collect::<Vec<_>>()),
        };
        items.reshape(view.shape().to_vec()).expect("a shape of at most 64 dimensions, in memory")
    }
}

/// As of a reference.
#[cfg(feature = "ndarray")]
impl<T, S, D> From<ndarray::ArrayBase<S, D>> for Array
where
    T: Element,
    S: ndarray::Data<Elem = T>,
    D: ndarray::Dimension,
{
    fn from(view: ndarray::ArrayBase<S, D>) -> Self {
        Array::from(&view)
    }
}

#[cfg(all(test, feature = "ndarray"))]
mod tests {
    use ndarray::{Array2, array, s};

    use super::*;

    /// Goal: views of `ndarray` keep shape and items, however they lie in memory.
    #[test]
    fn views_of_ndarray_are_arrays() {
        let grid = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let (rows, turned) = (Array::from(&grid), Array::from(grid.t()));
        assert_eq!(
            (rows.shape(), rows.to_vec::<f64>().unwrap()),
            (&[2, 3][..], vec![1., 2., 3., 4., 5., 6.])
        );
        assert_eq!(
            (turned.shape(), turned.to_vec::<f64>().unwrap()),
            (&[3, 2][..], vec![1., 4., 2., 5., 3., 6.])
        );
        let backwards = Array::from(grid.slice(s![1, ..;-2]));
        assert_eq!(backwards.to_vec::<f64>().unwrap(), [6.0, 4.0]);
        assert_eq!(Array::from(Array2::<i8>::zeros((0, 3))).shape(), [0, 3]);
    }
}
