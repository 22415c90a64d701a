package main

var fenceTales = []tale{}
