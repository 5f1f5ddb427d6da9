//! A set of the values of a small enum.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// An enum of at most 32 values without fields.
pub trait Flag: Copy + fmt::Debug + 'static {
    /// All values, each of them once.
    const ALL: &'static [Self];

    /// Returns the position of the value in `ALL`, from 0.
    fn index(self) -> u32;
}

/// A set of values of such an enum.
pub struct Flags<T>(u32, PhantomData<T>);

impl<T: Flag> Flags<T> {
    /// The empty set.
    pub const NONE: Self = Self(0, PhantomData);

    /// Returns the set of all values.
    #[must_use]
    pub fn all() -> Self {
        Self::of(T::ALL)
    }

    /// Returns the set of these values.
    #[must_use]
    pub fn of(values: &[T]) -> Self {
        values.iter().fold(Self::NONE, |set, value| set.with(*value))
    }

    /// Returns the set with one more value.
    #[must_use]
    pub fn with(self, value: T) -> Self {
        Self(self.0 | 1 << value.index(), PhantomData)
    }

    /// Returns the set without one value.
    #[must_use]
    pub fn without(self, value: T) -> Self {
        Self(self.0 & !(1 << value.index()), PhantomData)
    }

    /// Returns whether the value is in the set.
    #[must_use]
    pub fn has(self, value: T) -> bool {
        self.0 & 1 << value.index() != 0
    }
}

impl<T: Flag> Default for Flags<T> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> Clone for Flags<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Flags<T> {}

impl<T> PartialEq for Flags<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Flags<T> {}

impl<T> Hash for Flags<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T: Flag> fmt::Debug for Flags<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(T::ALL.iter().filter(|value| self.has(**value))).finish()
    }
}
