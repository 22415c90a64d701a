package main

var meterTales = []tale{}
