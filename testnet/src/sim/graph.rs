//! Graphs of who hears whom, for experiments in which nobody moves: one component, nobody with more
//! than six neighbours.

use super::random::{Dice, Purpose};
use clap::ValueEnum;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};

/// Neighbours that a node has at most.
const DEGREE_MAX: usize = 6;
/// Neighbours that a node of a random graph has at least.
const DEGREE_MIN: usize = 3;
/// Links per hundred nodes of a sparse graph: two thirds of what the degree allows.
const LINKS_PERCENT: usize = 200;
/// Draws for one link before the graph is taken as full.
const DRAWS_MAX: usize = 64;

/// How a graph is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Three to six neighbours each, at random: short ways, and several of them.
    Random,
    /// A random tree with random links added: a tenth of the nodes hang on one neighbour alone.
    Sparse,
    /// A square grid, four neighbours each: the long ways of a village in which everybody hears
    /// only the houses next door.
    Grid,
}

/// Who hears whom.
pub(super) struct Graph {
    neighbours: Vec<BTreeSet<u32>>,
}

impl Graph {
    /// A graph of so many nodes.
    pub(super) fn new(seed: u64, shape: Shape, nodes: u32) -> Self {
        let mut graph = Self { neighbours: vec![BTreeSet::new(); nodes as usize] };
        match shape {
            Shape::Random => {
                let mut dice = Dice::new(seed, Purpose::Graph);
                graph.grow(&mut dice);
                graph.thicken(&mut dice);
            }
            Shape::Sparse => graph.grow(&mut Dice::new(seed, Purpose::Graph)),
            Shape::Grid => graph.lay(nodes),
        }
        graph
    }

    fn grow(&mut self, dice: &mut Dice) {
        let nodes = self.neighbours.len();
        let mut links = 0;
        for node in 1..nodes {
            // Some earlier node always has room: a tree's degrees are below two on average.
            while !self.link(node, dice.below(node as u64) as usize) {}
            links += 1;
        }
        let mut draws = 0;
        while links < nodes * LINKS_PERCENT / 100 && draws < DRAWS_MAX * nodes {
            let one = dice.below(nodes as u64) as usize;
            links += usize::from(self.link(one, dice.below(nodes as u64) as usize));
            draws += 1;
        }
    }

    /// Gives every node as many neighbours as it has at least, where others have room.
    fn thicken(&mut self, dice: &mut Dice) {
        let nodes = self.neighbours.len();
        for node in 0..nodes {
            for _ in 0..DRAWS_MAX {
                if self.neighbours[node].len() < DEGREE_MIN {
                    self.link(node, dice.below(nodes as u64) as usize);
                }
            }
        }
    }

    fn lay(&mut self, nodes: u32) {
        let width = nodes.isqrt().max(1);
        for node in 0..nodes {
            let east = (node + 1) % width != 0 && node + 1 < nodes;
            if east {
                self.link(node as usize, node as usize + 1);
            }
            if node + width < nodes {
                self.link(node as usize, (node + width) as usize);
            }
        }
    }

    /// Links two nodes that have room and are not linked.
    fn link(&mut self, one: usize, other: usize) -> bool {
        let room = |node: usize| self.neighbours[node].len() < DEGREE_MAX;
        if one == other || !room(one) || !room(other) {
            return false;
        }
        self.neighbours[other].insert(one as u32);
        self.neighbours[one].insert(other as u32)
    }

    /// Every link once.
    pub(super) fn links(&self) -> impl Iterator<Item = [u32; 2]> + '_ {
        let of = |(node, around): (u32, &BTreeSet<u32>)| -> Vec<[u32; 2]> {
            around.range(node..).map(|other| [node, *other]).collect()
        };
        (0..).zip(&self.neighbours).flat_map(of)
    }

    /// Who hears a node.
    pub(super) fn around(&self, node: u32) -> Vec<u32> {
        self.neighbours[node as usize].iter().copied().collect()
    }

    /// The node farthest from another one, and how many links lie between.
    pub(super) fn farthest(&self, from: u32) -> (u32, u32) {
        let mut seen = BTreeSet::from([from]);
        let mut queue = VecDeque::from([(from, 0)]);
        let mut last = (from, 0);
        while let Some((node, links)) = queue.pop_front() {
            last = (node, links);
            let fresh: Vec<u32> =
                self.around(node).into_iter().filter(|next| seen.insert(*next)).collect();
            queue.extend(fresh.into_iter().map(|next| (next, links + 1)));
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_one_component_of_low_degree() {
        for (seed, shape, nodes) in [
            (1, Shape::Random, 200),
            (2, Shape::Random, 3),
            (3, Shape::Grid, 200),
            (4, Shape::Grid, 7),
        ] {
            let graph = Graph::new(seed, shape, nodes);
            let mut reached = BTreeSet::from([0]);
            let mut queue = vec![0];
            while let Some(node) = queue.pop() {
                queue.extend(graph.around(node).into_iter().filter(|next| reached.insert(*next)));
            }
            assert_eq!(reached.len(), nodes as usize, "{shape:?}");
            let degrees = (0..nodes).map(|node| graph.around(node).len());
            assert!(degrees.max() <= Some(DEGREE_MAX));
            assert_eq!(
                graph.links().count() * 2,
                (0..nodes).map(|it| graph.around(it).len()).sum::<usize>()
            );
        }
        assert_eq!(Graph::new(1, Shape::Grid, 9).farthest(0), (8, 4));
    }
}
