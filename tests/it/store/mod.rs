//! What the store keeps over kills, power cuts, full disks, damaged files and clocks that jump.

mod backup;
mod clock;
mod crash;
mod disk;
mod faults;
mod limits;
mod memory;
mod opening;
mod replay;
mod upgrade;
