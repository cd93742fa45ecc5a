//! Things by number.

/// Things that JavaScript holds by numbers from 1 on; 0 is nothing.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    things: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Shelf { things: Vec::new(), free: Vec::new() }
    }
}

impl<T> Shelf<T> {
    pub(crate) fn put(&mut self, thing: T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.things.push(None);
            self.things.len() as u32
        });
        self.things[number as usize - 1] = Some(thing);
        number
    }

    pub(crate) fn get(&mut self, number: u32) -> Option<&mut T> {
        self.things.get_mut((number as usize).checked_sub(1)?)?.as_mut()
    }

    /// JavaScript needs it no more.
    pub(crate) fn drop(&mut self, number: u32) {
        let place = (number as usize).checked_sub(1).and_then(|place| self.things.get_mut(place));
        if place.and_then(Option::take).is_some() {
            self.free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_again_once_its_thing_is_dropped() {
        let mut shelf = Shelf::default();
        assert_eq!((shelf.put('a'), shelf.put('b')), (1, 2));
        shelf.drop(1);
        shelf.drop(1);
        shelf.drop(0);
        shelf.drop(9);
        assert_eq!([0, 1, 9].map(|number| shelf.get(number).copied()), [None, None, None]);
        assert_eq!((shelf.put('c'), shelf.put('d')), (1, 3));
        assert_eq!([1, 2].map(|number| shelf.get(number).copied()), [Some('c'), Some('b')]);
    }
}
